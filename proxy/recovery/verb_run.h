#pragma once

#include <rapidjson/document.h>

#include "base/event_loop.h"
#include "proxy/recovery/operation.h"
#include "proxy/recovery/steps.h"

// One run of our own binary with a verb and --json: the protocol of steps.h, apart from what the
// results mean.
namespace regrow::recovery {

struct VerbCommand {
    std::string what;  // for messages: "restoring snapshot 3f2a of wiki/wiki-1"
    std::vector<std::string> argv;
    Duration silence{};       // progress extends it
    bool background = false;  // below everybody else in CPU and disk priority
};

using OnDocument = std::move_only_function<void(Result<rapidjson::Document>)>;

Handle runVerb(EventLoop& loop, VerbCommand command, OnProgress on_progress, OnDocument on_done);

// What a verb's {"type":"error",…} line says. Pure.
Error errorFromJson(const rapidjson::Value& line);

}  // namespace regrow::recovery
