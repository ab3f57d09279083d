#include "base/http/field.h"

#include "base/http/chars.h"

namespace regrow::http {
namespace {

struct Known {
    std::string_view name;
    FieldId id;
};

// By length: a name is compared only with the few of its own length.
constexpr std::array kKnown = {
    Known{"te", FieldId::te},
    Known{"via", FieldId::via},
    Known{"host", FieldId::host},
    Known{"date", FieldId::date},
    Known{"proxy", FieldId::proxy},
    Known{"range", FieldId::range},
    Known{"cookie", FieldId::cookie},
    Known{"expect", FieldId::expect},
    Known{"upgrade", FieldId::upgrade},
    Known{"trailer", FieldId::trailer},
    Known{"forwarded", FieldId::forwarded},
    Known{"x-real-ip", FieldId::x_real_ip},
    Known{"connection", FieldId::connection},
    Known{"keep-alive", FieldId::keep_alive},
    Known{"set-cookie", FieldId::set_cookie},
    Known{"retry-after", FieldId::retry_after},
    Known{"client-cert", FieldId::client_cert},
    Known{"content-type", FieldId::content_type},
    Known{"max-forwards", FieldId::max_forwards},
    Known{"cache-control", FieldId::cache_control},
    Known{"authorization", FieldId::authorization},
    Known{"content-range", FieldId::content_range},
    Known{"content-length", FieldId::content_length},
    Known{"http2-settings", FieldId::http2_settings},
    Known{"x-forwarded-for", FieldId::x_forwarded_for},
    Known{"content-encoding", FieldId::content_encoding},
    Known{"proxy-connection", FieldId::proxy_connection},
    Known{"x-forwarded-host", FieldId::x_forwarded_host},
    Known{"transfer-encoding", FieldId::transfer_encoding},
    Known{"x-forwarded-proto", FieldId::x_forwarded_proto},
    Known{"client-cert-chain", FieldId::client_cert},
    Known{"proxy-authenticate", FieldId::proxy_authenticate},
    Known{"proxy-authorization", FieldId::proxy_authorization},
};
constexpr size_t kLongest = kKnown.back().name.size();

// kFirst[n]: index of the first known name of n bytes; those of n bytes end at kFirst[n + 1].
constexpr std::array<uint8_t, kLongest + 2> makeFirst() {
    std::array<uint8_t, kLongest + 2> first{};
    for (size_t length = 0; length < first.size(); ++length) {
        size_t i = 0;
        while (i < kKnown.size() && kKnown[i].name.size() < length) ++i;
        first[length] = static_cast<uint8_t>(i);
    }
    return first;
}
constexpr auto kFirst = makeFirst();

constexpr bool sortedByLength() {
    for (size_t i = 1; i < kKnown.size(); ++i)
        if (kKnown[i].name.size() < kKnown[i - 1].name.size()) return false;
    return true;
}
static_assert(sortedByLength());

constexpr std::string_view kForwardedPrefix = "x-forwarded-";
constexpr std::string_view kCertificatePrefix = "x-client-cert-";

bool begins(std::string_view name, std::string_view prefix) {
    return name.size() > prefix.size() && equalsIgnoringCase(name.substr(0, prefix.size()), prefix);
}

}  // namespace

FieldId fieldIdOf(std::string_view name) {
    if (name.size() <= kLongest)
        for (size_t i = kFirst[name.size()]; i < kFirst[name.size() + 1]; ++i)
            if (equalsIgnoringCase(name, kKnown[i].name)) return kKnown[i].id;
    if (name.empty() || lower(name[0]) != 'x') return FieldId::other;
    if (begins(name, kForwardedPrefix)) return FieldId::x_forwarded_other;
    if (begins(name, kCertificatePrefix)) return FieldId::client_cert;
    return FieldId::other;
}

bool FieldList::add(const Field& field) {
    if (size_ == kCapacity) return false;
    fields_[size_++] = field;
    return true;
}

const Field* FieldList::find(FieldId id) const {
    for (const Field& f : *this)
        if (f.id == id) return &f;
    return nullptr;
}

const Field* FieldList::find(std::string_view name) const {
    for (const Field& f : *this)
        if (equalsIgnoringCase(f.name(), name)) return &f;
    return nullptr;
}

void FieldList::rebase(const char* old_base, const char* new_base) {
    for (Field& f : *this) {
        f.name_data = new_base + (f.name_data - old_base);
        f.value_data = new_base + (f.value_data - old_base);
    }
}

}  // namespace regrow::http
