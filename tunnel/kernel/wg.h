// The embeddable-wg-library's header, usable from C++. Private to the kernel driver.
#pragma once

extern "C" {
#include <wireguard.h>
}
