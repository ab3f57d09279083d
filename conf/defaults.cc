#include <fmt/core.h>

#include "conf/load.h"
#include "conf/schema.h"

namespace regrow::conf {
namespace {

constexpr std::string_view kHead =
    "# Every key of regrow's configuration with its default. A key without a default shows an "
    "example: as a comment\n"
    "# when it may be left out, as it stands when it must be written. `regrow check -c FILE` says "
    "what is wrong.\n\n";

bool isShown(const Key& key) {
    return key.type != Type::unbuilt && !(key.type == Type::only && key.fallback.empty());
}

// Writes sections line by line. Inside a commented key every line is a comment, so that taking the
// '# ' away gives YAML.
class DefaultsWriter {
  public:
    explicit DefaultsWriter(std::string& out) : out_(out) {}

    void section(const Section& section, int indent, bool commented) {
        for (const auto& key : section.keys)
            if (isShown(key)) write(key, indent, commented);
    }

  private:
    void write(const Key& key, int indent, bool commented) {
        // A key with a fallback of its own beside a section (access_log: off) shows both.
        if (key.section && !key.fallback.empty()) line(key, indent, commented, key.fallback);
        if (key.section && key.type != Type::hook)
            return nested(key, indent, commented || key.commented || !key.fallback.empty());
        const bool has_default = !key.fallback.empty();
        line(key, indent,
             commented || key.commented || (!has_default && !key.required && !key.shown),
             has_default ? key.fallback : key.example);
    }

    void nested(const Key& key, int indent, bool commented) {
        line(key, indent, commented, "");
        if (key.type == Type::sections) {
            item_ = true;
            section(*key.section, indent + 4, commented);
        } else if (key.type == Type::named) {
            raw(indent + 2, commented, fmt::format("{}:", key.example));
            section(*key.section, indent + 4, commented);
        } else {
            section(*key.section, indent + 2, commented);
        }
    }

    void line(const Key& key, int indent, bool commented, std::string_view value) {
        const auto gap = value.empty() ? "" : " ";
        const auto text = fmt::format("{}:{}{}", key.name, gap, value);
        raw(indent, commented,
            key.help.empty()
                ? text
                : fmt::format("{:<{}}  # {}", text, kHelpColumn - indent, helpOf(key)));
    }

    static std::string helpOf(const Key& key) {
        std::string help(key.help);
        if (!key.choices.empty() && key.type != Type::only) {
            std::string choices;
            for (const auto choice : splitChoices(key.choices))
                choices += (choices.empty() ? "" : ", ") + std::string(choice);
            help += " (" + choices + ")";
        }
        if (!key.word.empty() && key.help.find(key.word) == std::string_view::npos)
            help += fmt::format("; or {}", key.word);
        return help;
    }

    void raw(int indent, bool commented, const std::string& text) {
        std::string lead(static_cast<size_t>(indent), ' ');
        // The first line of a list's item carries the dash.
        if (item_) lead.replace(lead.size() - 2, 2, "- "), item_ = false;
        out_ += (commented ? "# " : "") + lead + text + "\n";
    }

    static constexpr int kHelpColumn = 44;
    std::string& out_;
    bool item_ = false;
};

}  // namespace

std::string defaultsText() {
    std::string out(kHead);
    DefaultsWriter(out).section(kRootSection, 0, false);
    return out;
}

}  // namespace regrow::conf
