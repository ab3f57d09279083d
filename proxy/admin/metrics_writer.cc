#include "proxy/admin/metrics_writer.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

namespace regrow::admin {

void MetricsWriter::family(std::string_view name, std::string_view help, std::string_view type) {
    name_ = name;
    header_ = fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void MetricsWriter::sample(Labels labels, double value) {
    writeSample(labels, {}, value);
}

void MetricsWriter::state(Labels labels, std::initializer_list<std::string_view> candidates,
                          std::string_view current) {
    for (const auto candidate : candidates)
        writeSample(labels, candidate, candidate == current ? 1 : 0);
}

void MetricsWriter::writeSample(Labels labels, std::string_view state, double value) {
    text_ += std::exchange(header_, {});
    text_ += name_;
    writeLabels(labels, "state", state);
    // Whole numbers as such: a counter of bytes must not turn into 1.2e+10.
    if (std::nearbyint(value) == value && std::abs(value) < 9e15) {
        fmt::format_to(std::back_inserter(text_), " {:.0f}\n", value);
    } else {
        fmt::format_to(std::back_inserter(text_), " {}\n", value);
    }
}

void MetricsWriter::writeLabels(Labels labels, std::string_view extra_name,
                                std::string_view extra_value) {
    if (labels.size() == 0 && extra_value.empty()) return;
    text_ += '{';
    bool first = true;
    for (const auto& [name, value] : labels) writeLabel(name, value, std::exchange(first, false));
    if (!extra_value.empty()) writeLabel(extra_name, extra_value, first);
    text_ += '}';
}

void MetricsWriter::writeLabel(std::string_view name, std::string_view value, bool first) {
    if (!first) text_ += ',';
    text_ += name;
    text_ += "=\"";
    for (const char c : value) {
        if (c == '\\' || c == '"') text_ += '\\';
        if (c == '\n') {
            text_ += "\\n";
        } else {
            text_ += c;
        }
    }
    text_ += '"';
}

}  // namespace regrow::admin
