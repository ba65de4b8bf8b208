document.body.append("VNOME studio");
