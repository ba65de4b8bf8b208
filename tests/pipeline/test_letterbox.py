import numpy as np

from pipeline.letterbox import SCREEN_SIZE, ActiveArea, ScreenBars


def picture(height: int = 90, width: int = 160, top: int = 0, left: int = 0, light: int = 200) -> np.ndarray:
    image = np.full((height, width, 3), 8, np.uint8)
    image[top : height - top, left : width - left] = light
    return image


def test_bars_above_and_below_are_set_aside() -> None:
    area = ActiveArea()
    area.add(picture(top=12))
    corners = area.corners()
    assert corners is not None
    assert corners.tolist() == [[0, 12], [160, 12], [160, 78], [0, 78]]  # 90 - 12 = 78


def test_bars_beside_are_set_aside() -> None:
    area = ActiveArea()
    area.add(picture(left=20))
    corners = area.corners()
    assert corners is not None
    assert corners[0].tolist() == [20, 0]
    assert corners[2].tolist() == [140, 90]


def test_a_full_picture_has_no_bars() -> None:
    area = ActiveArea()
    area.add(picture())
    assert area.corners() is None


def test_a_dark_scene_is_no_letter_box_once_a_bright_one_was_seen() -> None:
    area = ActiveArea()
    area.add(picture(top=30))
    area.add(picture())
    assert area.corners() is None


def test_a_black_picture_tells_nothing() -> None:
    area = ActiveArea()
    area.add(picture(light=10))
    assert area.corners() is None


def test_specks_of_noise_do_not_end_a_bar() -> None:
    area = ActiveArea()
    image = picture(top=12)
    image[3, 50] = 255
    area.add(image)
    corners = area.corners()
    assert corners is not None
    assert corners[0].tolist() == [0, 12]


def test_a_frame_of_another_size_starts_anew() -> None:
    area = ActiveArea()
    area.add(picture(top=12))
    area.add(picture(height=45, width=80, top=5))
    corners = area.corners()
    assert corners is not None
    assert corners[2].tolist() == [80, 40]


SCREEN = np.array([[100, 60], [420, 60], [420, 240], [100, 240]], np.float32)


def seen_screen(bar: int, bar_light: int = 40, below: int | None = None) -> np.ndarray:
    """A screen of 320 x 180 in a grey room, with bars above and below."""
    image = np.full((300, 520, 3), 90, np.uint8)
    image[60:240, 100:420] = bar_light
    image[60 + bar : 240 - (bar if below is None else below), 100:420] = 200
    return image


def test_grey_bars_on_a_filmed_screen_are_set_aside() -> None:
    bars = ScreenBars()
    bars.add(seen_screen(24), SCREEN)
    inside = bars.inside(SCREEN)
    assert inside is not None
    # 24 of 180 rows; the screen is looked at in 72 rows, so that one of those is 2.5 pixels
    np.testing.assert_allclose(inside, [[100, 84], [420, 84], [420, 216], [100, 216]], atol=180 / SCREEN_SIZE[1])


def test_a_full_screen_uneven_bars_and_a_dark_screen_have_none() -> None:
    for image in (seen_screen(0), seen_screen(30, below=4), np.full((300, 520, 3), 20, np.uint8)):
        bars = ScreenBars()
        bars.add(image, SCREEN)
        assert bars.inside(SCREEN) is None


def film_on_screen(bar: int, dark: int, first: int, bright: int) -> np.ndarray:
    """As `seen_screen`, with a grained film that is `first` bright at its upper and lower ends, `bright` between."""
    image = np.full((300, 520, 3), 90, np.uint8)
    image[60:240, 100:420] = dark
    light = np.full((180 - 2 * bar, 320), first, float)
    light[20:-20] = bright
    light += np.random.default_rng(0).normal(0, 6, light.shape)
    image[60 + bar : 240 - bar, 100:420] = np.clip(light, 0, 255)[..., None]
    return image


def test_bars_are_found_beside_a_film_whose_outer_rows_are_dark() -> None:
    bars = ScreenBars()
    bars.add(film_on_screen(24, dark=60, first=100, bright=240), SCREEN)
    inside = bars.inside(SCREEN)
    assert inside is not None
    np.testing.assert_allclose(inside, [[100, 84], [420, 84], [420, 216], [100, 216]], atol=180 / SCREEN_SIZE[1] / 2)


def test_the_film_is_found_although_the_screens_corners_are_off() -> None:
    bars, off = ScreenBars(), SCREEN + np.array([0, 3], np.float32)  # the upper bar looks 6 pixels narrower
    bars.add(film_on_screen(24, dark=40, first=200, bright=240), off)
    inside = bars.inside(off)
    assert inside is not None
    np.testing.assert_allclose(inside, [[100, 84], [420, 84], [420, 216], [100, 216]], atol=180 / SCREEN_SIZE[1] / 2)


def test_rough_dark_rows_are_no_bars() -> None:
    image = film_on_screen(24, dark=40, first=200, bright=240)
    rows = np.random.default_rng(1).normal(40, 15, (24, 320)).clip(0, 255)[..., None]
    image[60:84, 100:420] = rows
    bars = ScreenBars()
    bars.add(image, SCREEN)
    assert bars.inside(SCREEN) is None


def test_of_bars_on_all_four_sides_the_smoother_ones_count() -> None:
    """A dark scene between bars: its left and right thirds hardly show anything."""
    image = film_on_screen(24, dark=40, first=240, bright=240)
    scene = np.random.default_rng(2).normal(60, 2, (132, 40))[..., None].clip(0, 255).astype(np.uint8)
    image[84:216, 100:140] = image[84:216, 380:420] = scene
    bars = ScreenBars()
    bars.add(image, SCREEN)
    inside = bars.inside(SCREEN)
    assert inside is not None
    np.testing.assert_allclose(inside, [[100, 84], [420, 84], [420, 216], [100, 216]], atol=180 / SCREEN_SIZE[1])
