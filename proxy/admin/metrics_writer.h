#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace regrow::admin {

// Writes families one after the other: HELP and TYPE once, before the first sample. The exposition
// format wants all samples of a family together, so a caller loops inside a family, never over
// families.
class MetricsWriter {
  public:
    using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

    void gauge(std::string_view name, std::string_view help) { family(name, help, "gauge"); }
    void counter(std::string_view name, std::string_view help) { family(name, help, "counter"); }
    void summary(std::string_view name, std::string_view help) { family(name, help, "summary"); }
    void sample(Labels labels, double value);
    // One sample per candidate: 1 for `current`, 0 for the others.
    void state(Labels labels, std::initializer_list<std::string_view> candidates,
               std::string_view current);

    std::string take() && { return std::move(text_); }

  private:
    void family(std::string_view name, std::string_view help, std::string_view type);
    void writeLabels(Labels labels, std::string_view extra_name, std::string_view extra_value);
    void writeLabel(std::string_view name, std::string_view value, bool first);
    void writeSample(Labels labels, std::string_view state, double value);

    std::string text_;
    std::string name_;
    std::string header_;  // not written before the first sample: an empty family says nothing
};

}  // namespace regrow::admin
