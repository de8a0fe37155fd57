"""A node's kernel state as text, to compare before and after, and to break by hand."""

import re

COMMANDS = (
    "ip -details link show",
    "ip -details address show",
    "ip route show table all",
    "ip -6 route show table all",
    "ip rule show",
    "ip -6 rule show",
    "ip nexthop show",
    "bridge fdb show",
    "ip neighbour show nud permanent",
    "nft --stateless list ruleset",
)

# Values that change by themselves: counters, ages, queue lengths.
NOISE = (
    (re.compile(r"\b(packets|bytes) \d+"), r"\1 N"),
    (re.compile(r"\b(expires|valid_lft|preferred_lft) \S+"), r"\1 T"),
    (re.compile(r"\b(\w+_timer) +[0-9.]+"), r"\1 T"),
    (re.compile(r"\b(topology_change|topology_change_detected) \d"), r"\1 N"),
    (re.compile(r"\boffload_fwd_mark \d"), ""),
    # A bridge is UNKNOWN until its first port has forwarded for a while, then UP.
    (re.compile(r"(\bcni0: .*\bstate) \w+"), r"\1 S"),
    # The link-local address of a device that was down comes back by the kernel or by the route agent, whichever
    # is first. Only the agent's has this flag.
    (re.compile(r" nodad\b"), ""),
)


def kernel_state(machine):
    """Command -> sorted lines of its output."""
    state = {}
    for command in COMMANDS:
        lines = machine.sh(f"{command} 2>/dev/null || true").splitlines()
        for pattern, by in NOISE:
            lines = [pattern.sub(by, line) for line in lines]
        if "nft" not in command:  # in nft's text the order has a meaning
            lines = sorted(line.rstrip() for line in lines)
        state[command] = lines
    return state


def difference(before, after):
    """Lines "command: - gone" and "command: + new"; empty if the states are the same."""
    found = []
    for command in COMMANDS:
        old, new = before[command], after[command]
        found += [f"{command}: - {line}" for line in old if line not in new]
        found += [f"{command}: + {line}" for line in new if line not in old]
    return found
