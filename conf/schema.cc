#include "conf/schema.h"

namespace regrow::conf {

const Key* Section::find(std::string_view name) const {
    for (const auto& key : keys)
        if (key.name == name) return &key;
    return nullptr;
}

std::vector<std::string_view> splitChoices(std::string_view choices) {
    std::vector<std::string_view> out;
    while (!choices.empty()) {
        const auto bar = choices.find('|');
        out.push_back(choices.substr(0, bar));
        choices.remove_prefix(bar == std::string_view::npos ? choices.size() : bar + 1);
    }
    return out;
}

}  // namespace regrow::conf
