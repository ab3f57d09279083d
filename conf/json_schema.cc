#include "base/json.h"
#include "base/text.h"
#include "conf/load.h"
#include "conf/schema.h"

namespace regrow::conf {
namespace {

using json::Writer;

constexpr std::string_view kDurationPattern = "^[0-9]+(ns|us|ms|s|m|h|d|w)$";
constexpr std::string_view kNamePattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$";
constexpr std::string_view kPathPattern = "^/";

void writeSection(Writer& w, const Section& section);

void pattern(Writer& w, std::string_view regex) {
    w.field("type", "string").field("pattern", regex);
}

// An argument may be written 9001 or true; it is taken as text.
void anyScalar(Writer& w) {
    w.key("type").beginArray().value("string").value("number").value("boolean").endArray();
}

void textList(Writer& w, int least) {
    w.field("type", "array").field("minItems", least).key("items").beginObject();
    anyScalar(w);
    w.endObject();
}

// YAML 1.1 readers (most editors) turn a bare off into false and a bare 503 into a number.
void constants(Writer& w, std::string_view choices) {
    w.key("enum").beginArray();
    for (const auto choice : splitChoices(choices)) {
        w.value(choice);
        if (choice == "off" || choice == "false") w.value(false);
        if (choice == "503") w.value(503);
        if (choice == "1") w.value(1);
    }
    w.endArray();
}

void writeEnvironment(Writer& w) {
    w.key("anyOf").beginArray().beginObject();
    textList(w, 0);
    w.endObject().beginObject().field("type", "object").endObject().endArray();
}

void writeHook(Writer& w, const Section& section) {
    w.key("anyOf").beginArray().beginObject();
    textList(w, 1);
    w.endObject().beginObject();
    writeSection(w, section);
    w.endObject().endArray();
}

void writeOneOrMore(Writer& w, const Section& section) {
    w.key("anyOf").beginArray().beginObject();
    writeSection(w, section);
    w.endObject()
        .beginObject()
        .field("type", "array")
        .field("minItems", 1)
        .key("items")
        .beginObject();
    writeSection(w, section);
    w.endObject().endObject().endArray();
}

void writeNames(Writer& w) {
    w.key("anyOf").beginArray().beginObject();
    pattern(w, kNamePattern);
    w.endObject()
        .beginObject()
        .field("type", "array")
        .field("minItems", 1)
        .key("items")
        .beginObject();
    pattern(w, kNamePattern);
    w.endObject().endObject().endArray();
}

void writeType(Writer& w, const Key& key) {
    switch (key.type) {
        case Type::boolean: w.field("type", "boolean"); break;
        case Type::integer:
            w.field("type", "integer").field("minimum", key.low);
            if (key.high != INT64_MAX) w.field("maximum", key.high);
            break;
        case Type::duration: pattern(w, kDurationPattern); break;
        case Type::percent: pattern(w, "^[0-9]+([.][0-9]+)?%$"); break;
        case Type::text: anyScalar(w); break;
        case Type::path: pattern(w, kPathPattern); break;
        case Type::name: pattern(w, kNamePattern); break;
        case Type::names: writeNames(w); break;
        case Type::address:
            pattern(w, "^(unix:.+|[0-9.]+:[0-9]+|\\[[0-9A-Fa-f:.]+\\]:[0-9]+)$");
            break;
        case Type::choice_or_map:
            w.key("anyOf").beginArray().beginObject();
            constants(w, key.choices);
            w.endObject().beginObject();
            writeSection(w, *key.section);
            w.endObject().endArray();
            break;
        case Type::endpoint: pattern(w, "^(unix:.+|.+:[0-9]+)$"); break;
        case Type::choice:
        case Type::only: constants(w, key.choices); break;
        case Type::choices_list:
            w.field("type", "array").field("minItems", 1).key("items").beginObject();
            constants(w, key.choices);
            w.endObject();
            break;
        case Type::texts: textList(w, 0); break;
        case Type::argv: textList(w, 1); break;
        case Type::status_range:
            w.key("type").beginArray().value("string").value("integer").endArray();
            break;
        case Type::rate: pattern(w, "^[0-9]+ per [0-9]+(ns|us|ms|s|m|h|d|w)$"); break;
        case Type::size:
            w.key("type").beginArray().value("string").value("integer").endArray();
            break;
        case Type::pairs:
            w.field("type", "object").key("additionalProperties").beginObject();
            anyScalar(w);
            w.endObject();
            break;
        case Type::environment: writeEnvironment(w); break;
        case Type::presence: w.key("enum").beginArray().value(true).null().endArray(); break;
        case Type::hook: writeHook(w, *key.section); break;
        case Type::section: writeSection(w, *key.section); break;
        case Type::sections:
            w.field("type", "array").field("minItems", 1).key("items").beginObject();
            writeSection(w, *key.section);
            w.endObject();
            break;
        case Type::one_or_more: writeOneOrMore(w, *key.section); break;
        case Type::named:
            w.field("type", "object").key("additionalProperties").beginObject();
            writeSection(w, *key.section);
            w.endObject();
            break;
        case Type::unbuilt: break;
    }
}

void writeKey(Writer& w, const Key& key) {
    w.key(key.name).beginObject();
    if (!key.help.empty()) w.field("description", key.help);
    if (!key.fallback.empty()) w.field("x-default", key.fallback);
    if (key.word.empty()) {
        writeType(w, key);
    } else {
        w.key("anyOf").beginArray().beginObject();
        writeType(w, key);
        w.endObject().beginObject();
        constants(w, key.word);
        w.endObject().endArray();
    }
    w.endObject();
}

void writeSection(Writer& w, const Section& section) {
    w.field("type", "object").field("additionalProperties", false).key("properties").beginObject();
    for (const auto& key : section.keys)
        if (key.type != Type::unbuilt) writeKey(w, key);
    w.endObject();
    bool any = false;
    for (const auto& key : section.keys) any = any || key.required;
    if (!any) return;
    w.key("required").beginArray();
    for (const auto& key : section.keys)
        if (key.required) w.value(key.name);
    w.endArray();
}

}  // namespace

std::string schemaText() {
    Writer w;
    w.beginObject()
        .field("$schema", "https://json-schema.org/draft/2020-12/schema")
        .field("title", "regrow configuration");
    writeSection(w, kRootSection);
    w.endObject();
    return w.text();
}

}  // namespace regrow::conf
