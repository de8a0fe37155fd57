"""The processors' time during a measurement: per thread of every process in the world, and the loops' stalls."""

import os
import pathlib

TICK = os.sysconf("SC_CLK_TCK")


def threads_of(pid):
    """{(thread, its name): seconds of processor time}"""
    found = {}
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            text = task.read_text()
        except OSError:
            continue  # the thread ended
        name, fields = text[text.index("(") + 1:text.rindex(")")], text[text.rindex(")") + 2:].split()
        found[task.parent.name, name] = (int(fields[11]) + int(fields[12])) / TICK, int(fields[16])
    return found


def stall_ms(daemon):
    """(the longest stall of the last minute or two, all stalls since the start) in ms"""
    done = daemon.machine.run("curl", "-s", f"http://{daemon.config['status']}/metrics", check=False)
    found = dict(line.split() for line in done.stdout.splitlines() if line.startswith("causeway_loop_stall"))
    return tuple(1000 * float(found.get(name, 0)) for name in ("causeway_loop_stall_seconds",
                                                                "causeway_loop_stalled_seconds_total"))


class Usage:
    def __init__(self, world, daemons):
        self.world, self.daemons = world, daemons
        self.before, self.stalls = self._read(), {d.name: stall_ms(d) for d in daemons}

    def _read(self):
        return {(machine.name, process.name, process.pid): threads_of(process.pid)
                for machine in self.world.machines.values() for process in machine.processes
                if process.alive()}

    def report(self, most=14):
        rows = []
        for (machine, name, pid), threads in self._read().items():
            before = self.before.get((machine, name, pid), {})
            for thread, (seconds, nice) in threads.items():
                spent = seconds - before.get(thread, (0, 0))[0]
                rows.append((spent, f"{machine} {name} {thread[1]}{' (loop)' if thread[0] == str(pid) else ''}"
                                    f" nice {nice}"))
        text = "".join(f"    {spent:6.2f} s  {what}\n" for spent, what in sorted(rows, reverse=True)[:most])
        text += f"    {sum(spent for spent, _ in rows):6.2f} s  all\n"
        for daemon in self.daemons:
            longest, total = stall_ms(daemon)
            text += (f"    {daemon.name}: longest stall {longest:.0f} ms, stalls {total - self.stalls[daemon.name][1]:.0f}"
                     " ms\n")
        return text
