#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

// The one table of keys. The loader takes from it what a key is called, which form and range its
// value has and what is not built yet; `regrow config defaults` and the JSON schema are printed
// from it; a test holds the documentation against it. Constants; any thread.
namespace regrow::conf {

enum class Type {
    boolean,
    integer,   // low..high
    duration,  // low..high in milliseconds
    percent,   // "20%", low..high in percent
    text,
    path,           // absolute
    name,           // letters, digits, '.', '_', '-'; part of file names
    names,          // one name or a list of them
    address,        // numeric or unix:
    endpoint,       // likewise, or a name and a port
    choice,         // one of `choices`; those in `later` are refused by name
    choice_or_map,  // one of `choices`, or a map of `section`
    choices_list,   // a list of such
    texts,          // a list of text, may be empty
    argv,           // a list of text, at least one
    status_range,   // "200" or "200-399"
    rate,           // "2 per 1h"
    size,           // "256MiB", low..high in bytes
    pairs,          // a map from text to text
    environment,    // a map NAME: value, or a list of NAME=value
    presence,       // true, {} or nothing: that it is written is what counts
    hook,           // argv, or a map of `section`
    section,        // a map of `section`
    sections,       // a list of such maps
    one_or_more,    // one such map, or a list of them
    named,          // a map from names to such maps
    only,           // takes just `choices`; anything else is in the contract but not built yet
    unbuilt,        // in the contract but not built yet: refused whatever it says
};

struct Section;

struct Key {
    std::string_view name;
    Type type = Type::text;
    std::string_view help = {};      // one line
    std::string_view fallback = {};  // the default as YAML; empty: none
    std::string_view example = {};   // for what has no default
    std::string_view word = {};      // one more value it takes: "off", "auto", "never"
    std::string_view choices = {};   // separated by '|'
    std::string_view later = {};     // likewise: known, not built yet
    const Section* section = nullptr;
    int64_t low = 0;
    int64_t high = INT64_MAX;
    bool required = false;
    bool shown = false;      // written in the defaults although it may be left out
    bool commented = false;  // shown in the defaults as a comment: writing it out would change what
                             // the others mean
};

struct Section {
    std::span<const Key> keys;
    const Key* find(std::string_view name) const;
};

extern const Section kRootSection;
extern const Section kListenerSection;
extern const Section kRouteSection;
extern const Section kPoolSection;
extern const Section kAcceptSection;
extern const Section kLimitsSection;
extern const Section kBalanceSection;
extern const Section kAffinitySection;
extern const Section kCheckSection;
extern const Section kCompressSection;
extern const Section kServiceSection;
extern const Section kBackendSection;
extern const Section kSpareSection;
extern const Section kBackupSection;
extern const Section kRecoverySection;
extern const Section kListenerTlsSection;
extern const Section kPoolTlsSection;

std::vector<std::string_view> splitChoices(std::string_view choices);

}  // namespace regrow::conf
