"""Questions to a DNS server, asked by dig from inside a machine."""

from dataclasses import dataclass, field


@dataclass
class Answer:
    status: str = "TIMEOUT"  # NOERROR, NXDOMAIN, ...
    truncated: bool = False
    records: list = field(default_factory=list)  # (name, ttl, type, data)
    text: str = ""

    def data(self, kind):
        """The data of the answers of one type, sorted."""
        return sorted(data for _, _, found, data in self.records if found == kind)


def ask(machine, server, name, kind="A", tcp=False, edns=True, port=53,
        retry=True):
    """Asks one question once. A missing answer has the status TIMEOUT. Without `retry`, dig does not ask
    again over TCP after a truncated answer."""
    options = ["+tries=1", "+timeout=1", "+noall", "+comments", "+answer", "+nocookie"]
    options += [] if retry else ["+ignore"]
    options += ["+tcp"] if tcp else []
    options += [] if edns else ["+noedns"]
    text = machine.run("dig", f"@{server}", "-p", str(port), name, kind, *options, check=False).stdout
    answer = Answer(text=text)
    for line in text.splitlines():
        if "status:" in line:
            answer.status = line.split("status:")[1].split(",")[0].strip()
        elif line.startswith(";; flags:"):
            answer.truncated = " tc" in line.split(";")[2]
        elif line and not line.startswith(";"):
            name_, ttl, _, found, data = line.split(None, 4)
            answer.records.append((name_.rstrip("."), int(ttl), found, data))
    return answer
