// Metrics of every daemon's process: stalls of its loop, and log lines that no program read.
#pragma once

#include "base/event_loop.h"
#include "base/metrics.h"

namespace cw {

// Both outlive all scrapes.
void add_process_metrics(EventLoop& loop, Metrics& metrics);

// Raises the soft limit of open files to the hard one: connections of strangers must not take the
// descriptors that the store and the probes need. First in main.
void raise_open_files();

}  // namespace cw
