from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline import contact_sheet as sheets
from pipeline.contact_sheet import blank_cell, check_sheet_path, contact_sheet, labelled_sheet, write_sheet
from pipeline.errors import UsageError, WorkspaceUnusable

GAP, LINE = 8, 30
RED, GREEN, BLUE = (200, 10, 10), (10, 180, 20), (20, 30, 220)


def plain(height: int, width: int, colour: tuple[int, int, int] = RED) -> np.ndarray:
    return np.broadcast_to(np.uint8(colour), (height, width, 3)).copy()


def inked(area: np.ndarray) -> np.ndarray:
    """Columns of a white area in which something is drawn."""
    return np.flatnonzero((area.min(axis=2) < 200).any(axis=0))


def test_pictures_lie_in_rows_and_columns_with_a_gap_around_each():
    sheet = contact_sheet(
        [[plain(100, 120, RED), plain(100, 120, GREEN)], [plain(60, 120, BLUE), plain(40, 120, RED)]], cell_side=120
    )

    assert sheet.dtype == np.uint8
    assert sheet.shape == (100 + 60 + 3 * GAP, 2 * 120 + 3 * GAP, 3)
    assert (sheet[GAP : GAP + 100, GAP : GAP + 120] == RED).all()
    assert (sheet[GAP : GAP + 100, 2 * GAP + 120 : 2 * GAP + 240] == GREEN).all()
    second = 2 * GAP + 100
    assert (sheet[second : second + 60, GAP : GAP + 120] == BLUE).all()
    assert (sheet[second : second + 40, 2 * GAP + 120 : 2 * GAP + 240] == RED).all()
    assert (sheet[second + 40 : second + 60, 2 * GAP + 120 :] == 255).all()
    assert (sheet[:GAP] == 255).all()
    assert (sheet[:, :GAP] == 255).all()


def test_pictures_of_unequal_shape_are_shown_whole_in_the_middle_of_their_cell():
    wide, tall, small = plain(50, 200, RED), plain(200, 50, GREEN), plain(10, 20, BLUE)

    sheet = contact_sheet([[wide, tall, small]], cell_side=100)

    # 100 x 25, 25 x 100, and the small one as it is, in columns of 100.
    assert sheet.shape == (100 + 2 * GAP, 3 * 100 + 4 * GAP, 3)
    assert (sheet[GAP : GAP + 25, GAP : GAP + 100] == RED).all()
    middle = GAP + 108 + (100 - 25) // 2
    assert (sheet[GAP : GAP + 100, middle : middle + 25] == GREEN).all()
    left = GAP + 216 + 40
    assert (sheet[GAP : GAP + 10, left : left + 20] == BLUE).all()
    assert (sheet == BLUE).all(axis=2).sum() == 200


def test_a_picture_a_pixel_wide_keeps_its_pixel():
    sheet = contact_sheet([[plain(5000, 1)]], cell_side=100)

    assert (sheet == RED).all(axis=2).sum() == 100


def test_each_column_has_its_name_above_it_and_no_name_runs_into_the_next():
    names = ["original", "paper-single", "a very long name of a look"]

    sheet = contact_sheet([[plain(40, 40)] * 3], names=names, cell_side=40)

    width = (sheet.shape[1] - GAP) // 3
    assert sheet.shape[0] == LINE + 40 + 2 * GAP
    for column in range(3):
        left = GAP + column * width
        header = sheet[:LINE, left : left + width]
        assert len(inked(header)), names[column]
        assert not len(inked(sheet[:LINE, left - GAP : left]))
    # The longer the name, the more is drawn.
    drawn = [np.ptp(inked(sheet[:LINE, GAP + column * width : column * width + width])) for column in range(3)]
    assert drawn == sorted(drawn)


def test_names_of_any_length_and_letters_stay_on_their_line():
    names = ["x" * 5000, "one\ntwo\nthree\x1b[31m", "", "äöü 漢字 \N{GRINNING FACE}"]

    sheet = contact_sheet([[plain(40, 40)] * 4], names=names, cell_side=40)

    assert sheet.shape[0] == LINE + 40 + 2 * GAP
    assert sheet.shape[1] < 4 * 600


def test_a_row_may_be_shorter_than_the_others():
    sheet = contact_sheet([[plain(40, 40), plain(40, 40, GREEN)], [plain(40, 40, BLUE)]], cell_side=40)

    assert sheet.shape == (2 * 40 + 3 * GAP, 2 * 40 + 3 * GAP, 3)
    assert (sheet[2 * GAP + 40 :, 2 * GAP + 40 :] == 255).all()


def test_labelled_pictures_go_on_in_the_next_row_each_under_its_name():
    images = [(f"look {index}", plain(60, 80, colour)) for index, colour in enumerate([RED, GREEN, BLUE])]

    sheet = labelled_sheet(images, columns=2, cell_side=80)

    row = LINE + 60
    assert sheet.shape == (2 * row + 3 * GAP, 2 * 80 + 3 * GAP, 3)
    for index, colour in enumerate([RED, GREEN, BLUE]):
        top, left = GAP + index // 2 * (row + GAP), GAP + index % 2 * (80 + GAP)
        assert len(inked(sheet[top : top + LINE, left : left + 80]))
        assert (sheet[top + LINE : top + row, left : left + 80] == colour).all()


def test_a_long_name_widens_its_cells_and_shrinks_no_picture():
    sheet = labelled_sheet([("a name wider than forty pixels", plain(40, 40)), ("b", plain(40, 40))], columns=2)

    assert (sheet == RED).all(axis=2).sum() == 2 * 40 * 40


def test_a_blank_cell_has_the_size_of_the_picture_that_is_missing_and_says_so():
    cell = blank_cell(plain(90, 160), "no dream")

    assert cell.shape == (90, 160, 3)
    assert tuple(cell[-1, -1]) == (225, 225, 225)
    assert len(inked(cell)) > 20


@pytest.mark.parametrize(
    ("name", "kind", "exact"),
    [("s.png", "PNG", True), ("s.PNG", "PNG", True), ("s.jpg", "JPEG", False), ("s.JPEG", "JPEG", False),
     ("s.webp", "WEBP", False)],
)  # fmt: skip
def test_a_sheet_is_written_in_the_format_of_its_name(tmp_path: Path, name: str, kind: str, exact: bool):
    sheet = contact_sheet([[plain(60, 80), plain(60, 80, BLUE)]], names=["one", "two"])

    write_sheet(sheet, tmp_path / "new" / "folder" / name)

    written = tmp_path / "new" / "folder" / name
    with Image.open(written) as image:
        assert image.format == kind
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape == sheet.shape
    if exact:
        assert np.array_equal(pixels, sheet)
    else:
        assert np.abs(pixels.astype(int) - sheet).mean() < 3
    assert written.stat().st_mode & 0o777 == 0o644
    assert list(written.parent.iterdir()) == [written]


def test_a_sheet_that_cannot_be_written_leaves_the_old_one_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "sheet.png"
    path.write_bytes(b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sheets.os, "fsync", full)
    with pytest.raises(WorkspaceUnusable, match=r"sheet\.png cannot be written: No space"):
        write_sheet(plain(10, 10), path)

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["sheet", "sheet.gif", "sheet.png.txt", ".png"])
def test_a_name_without_a_known_format_is_refused(tmp_path: Path, name: str):
    for refuse in (check_sheet_path, lambda path: write_sheet(plain(4, 4), path)):
        with pytest.raises(UsageError, match=r"\.png, \.jpg, \.jpeg, \.webp"):
            refuse(tmp_path / name)


def test_a_place_where_no_file_can_be_is_refused_before_any_work(tmp_path: Path):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(UsageError, match="is a folder"):
        check_sheet_path(tmp_path / "folder.png")
    with pytest.raises(WorkspaceUnusable, match="is no folder"):
        check_sheet_path(tmp_path / "file" / "sheet.png")
    check_sheet_path(tmp_path / "not" / "there" / "yet.png")
    assert not (tmp_path / "not").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused_before_any_work(tmp_path: Path):
    tmp_path.chmod(0o500)

    with pytest.raises(WorkspaceUnusable, match="read-only"):
        check_sheet_path(tmp_path / "sheet.png")


def test_a_sheet_too_large_for_its_format_is_refused_with_the_way_out(tmp_path: Path):
    sheet = np.zeros((10, 20_000, 3), np.uint8)

    with pytest.raises(UsageError, match=r"20000 x 10 .*WEBP.*\.png"):
        write_sheet(sheet, tmp_path / "sheet.webp")
    write_sheet(sheet, tmp_path / "sheet.png")

    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]
