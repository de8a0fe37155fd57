"""Traffic between two clusters that goes on while the gateway that carries it changes."""

from fabric.traffic import Session, Stream, let_flow
from fabric.wait import wait_until


class BothWays:
    """A TCP session and a stream each way between the first pods of two sites."""

    def __init__(self, one, other):
        self._session = Session(one.pod.machine, other.pod.ip)
        self._streams = [Stream(a.pod.machine, b.pod.machine, b.pod.ip, a.world.folder)
                         for a, b in ((one, other), (other, one))]

    def after_move(self, site, peer, lost):
        """Waits until another gateway than `lost` carries the traffic of `site` to `peer`, and ends. Returns
        the streams' reports (there, back), the number of echoes, and the longest wait for one in ms."""
        wait_until(lambda: site.carrier_to(peer) not in (None, lost), 10,
                   "the other gateway carries the traffic")
        let_flow(*self._streams)
        reports = [stream.stop() for stream in self._streams]
        return reports, *self._session.finish()
