"""Tests of roomcast/storage/sqlite/damage.py. Under a running server: tests/e2e/test_damage.py."""

from __future__ import annotations

from pathlib import Path

from structlog.testing import capture_logs

from roomcast.core.errors import StorageDamaged
from roomcast.storage.sqlite.damage import DamageAlarm
from tests.storage.sqlite.files import database

DAMAGE = StorageDamaged("as SQLite says")


def test_damage_is_told_once_with_the_file_and_what_to_do(tmp_path: Path) -> None:
    alarm = DamageAlarm(tmp_path / "db")
    with capture_logs() as lines:
        alarm.ring(StorageDamaged("the first"))
        alarm.ring(StorageDamaged("the second"))
    [line] = lines
    assert (line["event"], line["log_level"], line["error"]) == ("store_damaged", "error", "the first")
    assert line["path"] == str(tmp_path / "db")
    assert "roomcast restore" in line["advice"]


def test_a_file_that_is_sound_after_all_is_no_longer_damaged(tmp_path: Path) -> None:
    with database(tmp_path / "db"):
        alarm = DamageAlarm(tmp_path / "db", now_s=iter(range(100)).__next__)
        alarm.ring(DAMAGE)
        assert alarm.look_again()
        assert alarm.damage is None
        assert not alarm.look_again(), "there is nothing to look for"


def test_a_file_that_is_damaged_is_looked_at_less_and_less_often(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with database(path):
        pass
    path.write_bytes(path.read_bytes()[:4_096] + b"\xa5" * 20_000)
    now_s = 0.0
    alarm = DamageAlarm(path, now_s=lambda: now_s)
    looks: list[float] = []
    sound = alarm._sound  # pyright: ignore[reportPrivateUsage]  # counts how often

    def look() -> bool:
        looks.append(now_s)
        return sound()

    alarm._sound = look  # type: ignore[method-assign]  # pyright: ignore[reportPrivateUsage]  # counts how often
    alarm.ring(DAMAGE)
    while now_s < 10:
        assert not alarm.look_again()
        now_s += 0.25
    assert looks == [0.5, 1.5, 3.5, 7.5]
    assert alarm.damage is DAMAGE


def test_what_is_final_is_not_looked_at_again(tmp_path: Path) -> None:
    with database(tmp_path / "db"):
        alarm = DamageAlarm(tmp_path / "db", now_s=iter(range(100)).__next__)
        alarm.ring(DAMAGE, final=True)
        assert not alarm.look_again()
        assert alarm.damage is DAMAGE


def test_a_file_that_takes_too_long_to_look_through_counts_as_damaged(tmp_path: Path) -> None:
    with database(tmp_path / "db") as connection:
        connection.execute(
            "WITH RECURSIVE some(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM some LIMIT 50000) "
            "INSERT INTO beats SELECT 'node ' || number, 1 FROM some"
        )
        alarm = DamageAlarm(tmp_path / "db", now_s=iter(range(1_000)).__next__)
        alarm.ring(DAMAGE)
        assert not alarm.look_again()
