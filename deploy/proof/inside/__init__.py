"""Programs that the proof runs in containers of VNOME's image, where its packages are."""
