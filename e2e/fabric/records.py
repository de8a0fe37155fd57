"""Programs that write to a database and record every acknowledged row."""

import itertools

from fabric.traffic import PYTHON, WIRE
from fabric.wait import wait_until

_number = itertools.count(1)


class RecordingWriter:
    """`program` is one of fabric/wire. It gets the record's path where `arguments` has FILE."""

    def __init__(self, machine, program, *arguments, wrap=lambda *command: command):
        name = f"{program}-{next(_number)}"
        self._file = machine.folder / name
        self._file.touch()
        self._file.chmod(0o666)
        self._process = machine.spawn(name, *wrap(
            PYTHON, WIRE / f"{program}.py",
            *[str(self._file) if part == "FILE" else str(part) for part in arguments]))
        wait_until(lambda: len(self.records()) > 20, 15, f"{program} gets acknowledgements")

    def records(self):
        """(number, time in ns) of every acknowledged row so far."""
        lines = self._file.read_text().split("\n")[:-1]
        return [tuple(map(int, line.split())) for line in lines]

    def first_after(self, moment):
        """The time of the first row acknowledged after `moment` (monotonic ns), or None."""
        return next((at for _, at in self.records() if at > moment), None)

    def stop(self):
        self._process.stop()
        return self.records()
