#pragma once

#include <string>

#include "proxy/control/status.h"

// Status in Prometheus' text format, version 0.0.4. Pure; any thread.
//
// Every name starts with regrow_, counters end in _total, units are seconds and bytes. A state is
// one series per possible value, 1 for the one that holds, so that an alert can be written without
// knowing numbers: `regrow_backend_state{state="down"} == 1`. What is not known yet has no sample,
// never a zero.
namespace regrow::admin {

std::string metricsText(const control::Status& status);

}  // namespace regrow::admin
