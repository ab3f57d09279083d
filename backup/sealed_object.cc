#include "backup/sealed_object.h"

#include "backup/bytes.h"
#include "backup/compress.h"
#include "base/random.h"

namespace regrow::backup {
namespace {

constexpr std::string_view kMagic = "RGRWOBJ1";
constexpr size_t kSaltSize = 16;

std::string associated(const Keyring& keys, std::string_view header, std::string_view name) {
    ByteWriter w;
    w.raw(header);
    w.raw({reinterpret_cast<const char*>(keys.repository().data()), keys.repository().size()});
    w.raw(name);
    return w.take();
}

std::unexpected<Error> corrupt(std::string_view name, std::string_view why) {
    return fail(Code::corrupt, Source::repository,
                "object " + std::string(name) + ": " + std::string(why));
}

}  // namespace

std::string sealObject(const Keyring& keys, ObjectType type, std::string_view name,
                       std::string_view plain) {
    std::string packed;
    const bool small = Compressor().pack(plain, packed);
    const std::string salt = secureRandomBytes(kSaltSize);
    ByteWriter w;
    w.raw(kMagic);
    w.u8(static_cast<uint8_t>(type));
    w.u8(small ? 1 : 0);
    w.u16(0);
    w.u32(keys.currentKey());
    w.raw(salt);
    w.u32(static_cast<uint32_t>(plain.size()));
    std::string object = w.take();
    const std::string aad = associated(keys, object, name);
    keys.objectSealer(keys.currentKey(), salt)
        ->seal(0, aad, small ? std::string_view(packed) : plain, object);
    return object;
}

Result<std::string> openObject(const Keyring& keys, ObjectType type, std::string_view name,
                               std::string_view object, size_t limit) {
    ByteReader r(object);
    if (r.raw(kMagic.size()) != kMagic) return corrupt(name, "not an object of this format");
    const uint8_t found_type = r.u8();
    const uint8_t codec = r.u8();
    const uint16_t zero = r.u16();
    const uint32_t key_id = r.u32();
    const std::string_view salt = r.raw(kSaltSize);
    const uint32_t plain_size = r.u32();
    if (r.failed()) return corrupt(name, "shorter than its header");
    if (found_type != static_cast<uint8_t>(type) || codec > 1 || zero != 0 || plain_size > limit)
        return corrupt(name, "its header makes no sense");
    auto sealer = keys.objectSealer(key_id, salt);
    if (!sealer) return corrupt(name, sealer.error().message);
    std::string opened;
    if (!sealer->open(0, associated(keys, object.substr(0, kObjectHeaderSize), name),
                      r.raw(r.left()), opened))
        return corrupt(
            name, "its seal is broken: changed, swapped with another, or of another repository");
    if (codec == 0 && opened.size() != plain_size)
        return corrupt(name, "its size is not what its header says");
    if (codec == 0) return opened;
    std::string plain;
    auto unpacked = unpack(opened, plain_size, plain);
    if (!unpacked) return corrupt(name, unpacked.error().message);
    return plain;
}

}  // namespace regrow::backup
