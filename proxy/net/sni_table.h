#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace regrow::net {

// From the name a client asks for to one of several certificates: the exact name first, then "*."
// in place of its first label (RFC 6125 6.4.3: a wildcard stands for one label). Hashed, because a
// listener may have thousands. Built once, then only read; any thread.
class SniTable {
  public:
    static constexpr uint32_t kNone = UINT32_MAX;

    // `name` in lower case, as a certificate has it. The first to claim a name keeps it.
    void add(std::string_view name, uint32_t index);
    // Case does not matter, nor a dot at the end. kNone: nobody claims it.
    uint32_t find(std::string_view host) const;

  private:
    struct Hash {
        using is_transparent = void;
        size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>()(text);
        }
    };
    using Names = std::unordered_map<std::string, uint32_t, Hash, std::equal_to<>>;

    Names exact_;
    Names wildcard_;  // by what follows "*."
};

}  // namespace regrow::net
