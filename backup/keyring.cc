#include "backup/keyring.h"

#include <openssl/evp.h>

#include <cassert>

#include "backup/bytes.h"
#include "base/random.h"
#include "base/text.h"

namespace regrow::backup {
namespace {

constexpr size_t kKeySize = 32;
constexpr size_t kSaltSize = 16;
constexpr std::string_view kSlotMagic = "RGRWSLOT";
constexpr std::string_view kRingMagic = "RGRWRING";
constexpr uint8_t kVersion = 1;
constexpr uint8_t kSlotKeyFile = 1;
constexpr uint8_t kSlotPassphrase = 2;
constexpr uint64_t kScryptMemoryLimit = uint64_t{1} << 30;

std::string_view bytesOf(const RepositoryId& id) {
    return {reinterpret_cast<const char*>(id.data()), id.size()};
}

std::unexpected<Error> corrupt(const std::string& what) {
    return fail(Code::corrupt, Source::repository, what);
}

bool sensible(const ScryptCost& c) {
    return c.log2_n >= 1 && c.log2_n <= 24 && c.r >= 1 && c.r <= 32 && c.p >= 1 && c.p <= 16 &&
           (uint64_t{128} << c.log2_n) * c.r <= kScryptMemoryLimit;
}

Result<std::string> slotKey(const OperatorKey& key, std::string_view salt, const ScryptCost& cost) {
    if (!key.isPassphrase()) return hkdf(key.secret(), salt, "regrow slot 1", kKeySize);
    std::string out(kKeySize, '\0');
    // Half as much again as scrypt itself needs: OpenSSL counts its own blocks too.
    const uint64_t memory = (uint64_t{128} << cost.log2_n) * cost.r * 3 / 2 + (uint64_t{1} << 20);
    const int ok = EVP_PBE_scrypt(key.secret().data(), key.secret().size(),
                                  reinterpret_cast<const unsigned char*>(salt.data()), salt.size(),
                                  uint64_t{1} << cost.log2_n, cost.r, cost.p, memory,
                                  reinterpret_cast<unsigned char*>(out.data()), out.size());
    if (ok != 1)
        return fail(Code::internal, Source::us,
                    "scrypt failed: not enough memory for this key slot");
    return out;
}

// Magic, version, 3 bytes, salt: the same start for both objects.
std::string header(std::string_view magic, const std::array<uint8_t, 4>& fields,
                   std::string_view salt) {
    ByteWriter w;
    w.raw(magic);
    w.u8(kVersion);
    for (const uint8_t f : fields) w.u8(f);
    w.raw(std::string_view("\0\0\0", 3));
    w.raw(salt);
    return w.take();
}

bool validLimits(const ChunkerLimits& l) {
    return l.page >= 512 && l.page <= l.max && l.min >= 64 && l.min < l.average &&
           l.average < l.max && (l.average & (l.average - 1)) == 0 && l.max <= (2U << 20);
}

}  // namespace

Keyring Keyring::create(const RepositoryId& repository, ChunkerLimits limits) {
    assert(validLimits(limits));
    Keyring ring;
    ring.repository_ = repository;
    ring.identity_key_ = secureRandomBytes(kKeySize);
    ring.data_keys_[1] = secureRandomBytes(kKeySize);
    ring.limits_ = limits;
    return ring;
}

Result<Sealer> Keyring::packSealer(uint32_t key_id, std::string_view salt) const {
    const auto key = data_keys_.find(key_id);
    if (key == data_keys_.end())
        return corrupt("sealed with key " + std::to_string(key_id) +
                       ", which this repository's keyring does not hold");
    return Sealer(hkdf(key->second, salt, "regrow pack 1", kKeySize));
}

Result<Sealer> Keyring::objectSealer(uint32_t key_id, std::string_view salt) const {
    const auto key = data_keys_.find(key_id);
    if (key == data_keys_.end())
        return corrupt("sealed with key " + std::to_string(key_id) +
                       ", which this repository's keyring does not hold");
    return Sealer(hkdf(key->second, salt, "regrow object 1", kKeySize));
}

Mac Keyring::chunkMac() const {
    return Mac(hkdf(identity_key_, {}, "regrow chunk id 1", kKeySize));
}
Mac Keyring::nodeMac() const {
    return Mac(hkdf(identity_key_, {}, "regrow node id 1", kKeySize));
}

std::string Keyring::folderOf(std::string_view snapshot_name) const {
    const Mac mac(hkdf(identity_key_, {}, "regrow snapshot folder 1", kKeySize));
    return hexOf(mac.of(snapshot_name)).substr(0, 32);
}

Chunker Keyring::chunker() const {
    const std::string bytes = hkdf(identity_key_, {}, "regrow gear table 1", sizeof(GearTable));
    ByteReader r(bytes);
    GearTable gear{};
    for (uint64_t& g : gear) g = r.u64();
    return {gear, limits_};
}

uint64_t Keyring::splitSeed() const {
    const std::string bytes = hkdf(identity_key_, {}, "regrow tree split 1", 8);
    return ByteReader(bytes).u64();
}

std::string Keyring::encode() const {
    ByteWriter w;
    w.u8(kVersion);
    w.raw(identity_key_);
    w.u32(limits_.min);
    w.u32(limits_.average);
    w.u32(limits_.max);
    w.u32(limits_.page);
    w.varint(data_keys_.size());
    for (const auto& [id, key] : data_keys_) {
        w.u32(id);
        w.raw(key);
    }
    return w.take();
}

Result<Keyring> Keyring::decode(const RepositoryId& repository, std::string_view bytes) {
    ByteReader r(bytes);
    if (r.u8() != kVersion) return corrupt("the keyring was written by a newer regrow");
    Keyring ring;
    ring.repository_ = repository;
    ring.identity_key_ = r.raw(kKeySize);
    ring.limits_ = {r.u32(), r.u32(), r.u32(), r.u32()};
    const uint64_t count = r.count(4 + kKeySize);
    for (uint64_t i = 0; i < count; ++i) {
        const uint32_t id = r.u32();
        ring.data_keys_[id] = r.raw(kKeySize);
    }
    if (!r.atEnd() || ring.data_keys_.empty() || ring.data_keys_.size() != count ||
        !validLimits(ring.limits_))
        return corrupt("the keyring makes no sense");
    return ring;
}

std::string wrapRingKey(const OperatorKey& key, const RepositoryId& repository,
                        std::string_view ring_key, ScryptCost cost) {
    const std::string salt = secureRandomBytes(kSaltSize);
    const uint8_t kind = key.isPassphrase() ? kSlotPassphrase : kSlotKeyFile;
    std::string slot = header(kSlotMagic, {kind, cost.log2_n, cost.r, cost.p}, salt);
    const std::string aad = slot + std::string(bytesOf(repository));
    auto wrapping = slotKey(key, salt, cost);
    assert(wrapping);
    Sealer(*wrapping).seal(0, aad, ring_key, slot);
    return slot;
}

Result<std::string> unwrapRingKey(const OperatorKey& key, const RepositoryId& repository,
                                  std::string_view slot) {
    ByteReader r(slot);
    if (r.raw(kSlotMagic.size()) != kSlotMagic) return corrupt("not a key slot");
    if (r.u8() != kVersion) return corrupt("the key slot was written by a newer regrow");
    const uint8_t kind = r.u8();
    const ScryptCost cost{r.u8(), r.u8(), r.u8()};
    r.raw(3);
    const std::string_view salt = r.raw(kSaltSize);
    const std::string_view sealed = r.raw(r.left());
    if (r.failed() || sealed.size() != kKeySize + kSealOverhead ||
        (kind == kSlotPassphrase && !sensible(cost)))
        return corrupt("the key slot makes no sense");
    const auto wrong = [&] {
        return fail(Code::permission, Source::config,
                    key.origin() + " does not open this key slot");
    };
    if (kind != (key.isPassphrase() ? kSlotPassphrase : kSlotKeyFile)) return wrong();
    REGROW_TRY(const std::string wrapping, slotKey(key, salt, cost));
    const std::string aad =
        std::string(slot.substr(0, slot.size() - sealed.size())) + std::string(bytesOf(repository));
    std::string ring_key;
    if (!Sealer(wrapping).open(0, aad, sealed, ring_key)) return wrong();
    return ring_key;
}

std::string sealKeyring(const Keyring& ring, std::string_view ring_key, uint64_t generation) {
    const std::string salt = secureRandomBytes(kSaltSize);
    std::string object = header(kRingMagic, {0, 0, 0, 0}, salt);
    ByteWriter aad;
    aad.raw(object);
    aad.raw(bytesOf(ring.repository()));
    aad.u64(generation);
    Sealer(hkdf(ring_key, salt, "regrow keyring 1", kKeySize))
        .seal(0, aad.view(), ring.encode(), object);
    return object;
}

Result<Keyring> openKeyring(const RepositoryId& repository, std::string_view ring_key,
                            uint64_t generation, std::string_view object) {
    ByteReader r(object);
    if (r.raw(kRingMagic.size()) != kRingMagic) return corrupt("not a keyring");
    if (r.u8() != kVersion) return corrupt("the keyring was written by a newer regrow");
    r.raw(7);
    const std::string_view salt = r.raw(kSaltSize);
    if (r.failed()) return corrupt("the keyring is cut short");
    ByteWriter aad;
    aad.raw(object.substr(0, object.size() - r.left()));
    aad.raw(bytesOf(repository));
    aad.u64(generation);
    std::string plain;
    if (!Sealer(hkdf(ring_key, salt, "regrow keyring 1", kKeySize))
             .open(0, aad.view(), r.raw(r.left()), plain))
        return corrupt("the keyring's seal is broken");
    return Keyring::decode(repository, plain);
}

}  // namespace regrow::backup
