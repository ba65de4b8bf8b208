"""The virtual phone: where the picture lands, which moment is seen, and faults that are those of optics."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from edge.rooms import FloatImage, Player
from edge.virtual_phone import CLEAN, HARD, PhoneFrame, PhoneSettings, VirtualPhone, film_clip, preset, record
from pipeline.errors import MediaError
from pipeline.frames import Frame, RgbImage

WIDTH, HEIGHT = 320, 180
SMALL_CLEAN = replace(CLEAN, width=WIDTH, height=HEIGHT)


def still(image: RgbImage, count: int = 1, fps: float = 24.0) -> list[Frame]:
    return [Frame(image, k / fps) for k in range(count)]


def flat(level: int) -> RgbImage:
    return np.full((90, 160, 3), level, np.uint8)


def scene(seed: int = 3) -> RgbImage:
    """A picture with shapes of all sizes, (90, 160, 3)."""
    rng = np.random.default_rng(seed)
    noise = sum(
        cv2.resize(rng.random((9 * k, 16 * k, 3), np.float32), (160, 90), interpolation=cv2.INTER_CUBIC)
        for k in (1, 1, 3)
    )
    return np.asarray(np.clip((noise / 3 - 0.5) * 500 + 110, 0, 255), np.uint8)


def first(settings: PhoneSettings, seed: int, image: RgbImage, room: RgbImage | None = None) -> PhoneFrame:
    return next(VirtualPhone(settings, seed, room).film(still(image)))


def rectified(shot: PhoneFrame, width: int = 160, height: int = 90) -> FloatImage:
    """The screen, cut out by its true corners, float32 (height, width)."""
    places = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    turn = cv2.getPerspectiveTransform(shot.screen - np.float32(0.5), places - np.float32(0.5))
    gray = cv2.cvtColor(shot.image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.warpPerspective(gray, turn, (width, height), flags=cv2.INTER_AREA), np.float32)


class TestWhereThePictureLands:
    @pytest.mark.parametrize("seed", range(4))
    def test_markers_lie_where_the_corners_put_them(self, seed: int) -> None:
        large = replace(SMALL_CLEAN, width=640, height=360)
        settings = replace(large, tilt_degrees=(20, 40), roll_degrees=12, fill=(0.5, 0.8))
        film = np.zeros((360, 640, 3), np.uint8)
        marks = np.array([(x, y) for y in (60, 180, 300) for x in (80, 320, 560)])  # between pixels, as edges
        for x, y in marks:
            film[y - 9 : y + 9, x - 9 : x + 9] = 255
        shot = first(settings, seed, film)
        edges = np.array([(0, 0), (640, 0), (640, 360), (0, 360)], np.float32)
        expected = cv2.perspectiveTransform(
            marks[None].astype(np.float32), cv2.getPerspectiveTransform(edges, shot.screen)
        )[0]
        light = shot.image[..., 1].astype(float) ** 2  # linear again: the phone's gamma is 2
        for x, y in expected:
            box = np.s_[int(y) - 12 : int(y) + 13, int(x) - 12 : int(x) + 13]
            weight = np.clip(light[box] - 0.25 * light[box].max(), 0, None)
            rows, columns = np.mgrid[box] + 0.5
            found = np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()
            assert np.abs(found - (x, y)).max() < 0.4

    @pytest.mark.parametrize("seed", range(4))
    def test_corners_hold_with_lens_shake_and_rolling_shutter(self, seed: int) -> None:
        settings = replace(
            SMALL_CLEAN, width=640, height=360, tilt_degrees=(10, 35), fill=(0.5, 0.8), distortion=0.06,
            shake=3.0, readout_seconds=0.03, exposure_seconds=(0.01, 0.01), roll_degrees=8,
        )  # fmt: skip
        film = still(np.full((200, 480, 3), 255, np.uint8))  # letterboxed: black bars above and below
        shot = list(VirtualPhone(settings, seed).film(film, seconds=0.5))[-1]
        gray = cv2.cvtColor(shot.image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        places = (shot.screen - 0.5).reshape(-1, 1, 2).astype(np.float32)
        found = cv2.cornerSubPix(gray, places.copy(), (6, 6), (-1, -1), (3, 60, 1e-3))
        assert np.abs(found - places).max() < 1.0

    @pytest.mark.parametrize("name", ["easy", "hard", "severe"])
    def test_the_screen_is_as_wide_as_the_level_says(self, name: str) -> None:
        settings = replace(preset(name, width=WIDTH, height=HEIGHT), shake=0.0)
        for seed in range(5):
            # 16:9 film on a 16:9 panel; a tall outline may not fit, so only the upper bound is sharp
            share = np.ptp(first(settings, seed, flat(128)).screen[:, 0]) / WIDTH
            assert 0.6 * settings.fill[0] < share < settings.fill[1] + 0.02


class TestWhichMomentIsSeen:
    def test_film_seconds_is_the_pts_of_the_frame_on_the_screen(self) -> None:
        levels = np.random.default_rng(5).permutation(np.linspace(60, 255, 24)).astype(int)
        film = [Frame(flat(int(level)), 7.0 + k / 24) for k, level in enumerate(levels)]
        shots = list(VirtualPhone(SMALL_CLEAN, 1).film(film, play_from_seconds=7.25))
        assert 20 <= len(shots) <= 24  # 0.75 s at 30 frames a second
        index = np.array([round((shot.film_seconds - 7.0) * 24) for shot in shots])
        assert index[0] == 6 and index[-1] == 23 and (np.diff(index) >= 0).all()
        measured = np.array([np.median(rectified(shot)) for shot in shots]) ** 2
        panel = (levels[index] / 255) ** 2.2  # linear light, as are squares at the phone's gamma of 2
        slope, offset = np.polyfit(panel, measured, 1)
        assert np.abs(measured - slope * panel - offset).max() < 0.02 * slope

    def test_24_frames_on_60_hz_stay_two_or_three_refreshes(self) -> None:
        film = still(flat(0), 24)
        shown = Player(film, 0.0, 1.0, 0.0).shown(0.0, 0.9)
        lit = np.array([one.until - one.since for one in shown[1:-1]]) * 60
        assert np.allclose(lit, np.round(lit)) and set(np.round(lit)) == {2, 3}

    def test_speed_and_a_still_end(self) -> None:
        film = still(flat(90), 12)
        shots = list(VirtualPhone(SMALL_CLEAN, 1).film(film, speed=2.0, seconds=0.5))
        assert len(shots) == 15
        assert shots[-1].film_seconds == film[-1].pts_seconds
        assert shots[3].film_seconds == pytest.approx(0.2, abs=2 / 24)  # 0.1 s

    def test_a_long_exposure_blends_two_film_frames(self) -> None:
        settings = replace(SMALL_CLEAN, exposure_seconds=(1 / 30, 1 / 30))
        film = [Frame(flat(255 * (k % 2)), k / 24) for k in range(24)]
        means = [float(np.median(rectified(shot))) for shot in VirtualPhone(settings, 2).film(film)]
        assert any(0.3 * max(means) < mean < 0.9 * max(means) for mean in means)

    def test_no_frames(self) -> None:
        with pytest.raises(ValueError, match="no film frames"):
            next(VirtualPhone(SMALL_CLEAN, 0).film([]))


class TestOptics:
    def test_same_seed_same_bytes(self) -> None:
        settings = preset("severe", width=WIDTH, height=HEIGHT)
        a, b, c = (
            [shot.image for shot in VirtualPhone(settings, seed).film(still(scene()), seconds=0.1)]
            for seed in (4, 4, 5)
        )
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
        assert not np.array_equal(a[0], c[0])

    def test_filming_twice_gives_the_same(self) -> None:
        phone = VirtualPhone(preset("hard", width=WIDTH, height=HEIGHT), 9)
        once, again = (next(phone.film(still(scene()))) for _ in range(2))
        assert np.array_equal(once.image, again.image) and np.array_equal(once.screen, again.screen)

    def test_a_black_film_leaves_the_room_visible(self) -> None:
        shot = first(preset("hard", width=WIDTH, height=HEIGHT), 3, flat(0))
        outside = np.ones((HEIGHT, WIDTH), np.uint8)
        cv2.fillPoly(outside, [shot.screen.round().astype(np.int32)], 0)
        room = shot.image[outside > 0]
        assert room.mean() > 12 and room.std() > 5

    def test_a_photo_stands_behind_the_screen(self) -> None:
        photo = np.zeros((60, 80, 3), np.uint8)
        photo[:, :, 1] = 200
        shot = first(replace(SMALL_CLEAN, fill=(0.5, 0.5)), 3, flat(0), photo)
        assert shot.image[5, 5, 1] > 60 and shot.image[5, 5, 0] < 10

    @pytest.mark.parametrize("contrast", [0.0, 0.8])
    def test_moire_comes_from_the_panel_grid_alone(self, contrast: float) -> None:
        # 683 panel pixels on 512 camera pixels, as a panel of 1366 fills most of a 1280 wide picture
        large = replace(SMALL_CLEAN, width=640, height=360, fill=(0.8, 0.8))
        settings = replace(large, grid=contrast, panel_columns=683)
        patch = rectified(first(settings, 2, flat(200)), 512, 288)[80:208, 128:384]
        window = np.outer(np.hanning(128), np.hanning(256))
        spectrum = np.abs(np.fft.rfft2((patch - patch.mean()) * window)) / window.sum()
        spectrum[:3, :3] = spectrum[-2:, :3] = 0  # the light's slope over the panel
        # half the strongest wave's amplitude, in grey levels: rounding alone leaves far less than 0.1
        assert spectrum.max() > 0.5 if contrast else spectrum.max() < 0.1

    def test_levels_are_ordered_by_difficulty(self) -> None:
        film = scene()
        truth = cv2.cvtColor(film, cv2.COLOR_RGB2GRAY).astype(np.float32)

        def likeness(name: str) -> float:
            """Mean PSNR in dB of the rectified screen, after the best straight line of tone."""
            errors = []
            for seed in range(4):
                seen = rectified(first(preset(name, width=WIDTH, height=HEIGHT), seed, film))
                slope, offset = np.polyfit(seen.ravel(), truth.ravel(), 1)
                errors.append(np.mean((slope * seen + offset - truth) ** 2))
            return float(np.mean(10 * np.log10(255**2 / np.array(errors))))

        clean, easy, hard, severe = (likeness(name) for name in ("clean", "easy", "hard", "severe"))
        assert clean > easy + 1 and easy > hard + 1 and hard > severe + 1


class TestRecording:
    def test_clip_keeps_frames_times_and_corners(self, tmp_path: Path) -> None:
        phone = VirtualPhone(preset("easy", width=WIDTH, height=HEIGHT), 2)
        filmed = list(phone.film(still(scene(), 12)))
        clip = tmp_path / "clip.mp4"
        decoded = list(film_clip(phone, still(scene(), 12), clip))
        assert len(decoded) == len(filmed) == 15
        for sent, got in zip(filmed, decoded, strict=True):
            assert got.pts_seconds == pytest.approx(sent.pts_seconds, abs=1 / 90_000)
            assert np.array_equal(got.screen, sent.screen) and got.film_seconds == sent.film_seconds
            assert cv2.PSNR(got.image, sent.image) > 24
        with av.open(str(clip)) as container:
            assert container.streams.video[0].codec_context.name == "h264"

    def test_a_low_bitrate_costs_quality(self, tmp_path: Path) -> None:
        def loss(bits: float) -> float:
            phone = VirtualPhone(replace(HARD, width=WIDTH, height=HEIGHT, bits_per_pixel=bits), 2)
            sent = list(phone.film(still(scene(), 12)))[-1]
            return cv2.PSNR(sent.image, list(film_clip(phone, still(scene(), 12)))[-1].image)

        assert loss(0.8) > loss(0.03) + 2

    def test_nothing_filmed(self, tmp_path: Path) -> None:
        with pytest.raises(MediaError, match="nothing was filmed"):
            record(iter(()), tmp_path / "clip.mp4", SMALL_CLEAN)


class TestSettings:
    def test_unknown_preset(self) -> None:
        with pytest.raises(ValueError, match="easy, hard, severe"):
            preset("impossible")

    @pytest.mark.parametrize("size", [(321, 180), (320, 20)])
    def test_picture_that_h264_cannot_hold(self, size: tuple[int, int]) -> None:
        with pytest.raises(ValueError, match="must be even"):
            PhoneSettings(width=size[0], height=size[1])


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """OpenCV alone on its core, as beside other work."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(threads)
