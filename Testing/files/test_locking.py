"""Locks between processes that share a folder."""

import errno
import threading

import pytest

from MMIFAminLib.files.locking import locked

fcntl = pytest.importorskip("fcntl", reason="this system has no such locks")


def test_one_holds_it_and_it_leaves_nothing(tmp_path):
    path = tmp_path / "lock"
    with locked(path, wait=False), pytest.raises(BlockingIOError), locked(path, wait=False):
        pass
    assert not path.exists()
    with locked(path, wait=False):
        assert path.exists()
    with pytest.raises(KeyError), locked(path, wait=True):
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_who_waits_has_it_next_though_the_file_has_gone_meanwhile(tmp_path):
    inside, most = [], []

    def work():
        for _ in range(50):
            with locked(tmp_path / "lock", wait=True):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 200 and not list(tmp_path.iterdir())


def test_a_file_system_without_locks_keeps_nobody_from_work(tmp_path, monkeypatch):
    def missing(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", missing)
    with locked(tmp_path / "lock", wait=False), locked(tmp_path / "lock", wait=False):
        pass
    assert not list(tmp_path.iterdir())
