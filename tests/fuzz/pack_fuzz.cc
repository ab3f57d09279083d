#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "backup/index.h"
#include "backup/keyring.h"
#include "backup/pack.h"
#include "backup/sealed_object.h"

// Pack tables, pack headers, index runs, key slots, keyrings and sealed objects from any bytes.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace regrow::backup;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    (void)decodePackHeader(bytes);
    (void)decodePackFooter(bytes, 32, size);
    if (const auto run = IndexRun::parse(std::string(bytes))) {
        ChunkId id{};
        (void)run->find(id);
        for (uint32_t i = 0; i < run->packCount(); ++i) (void)run->frames(i);
        (void)IndexRun::merge({&*run}, {});
    }
    static const RepositoryId repository{};
    static const Keyring keys = Keyring::create(repository, {});
    (void)Keyring::decode(repository, bytes);
    (void)openKeyring(repository, std::string(32, 'k'), 1, bytes);
    (void)openObject(keys, ObjectType::snapshot, "a", bytes);
    // A key file's slot only: deriving a passphrase's key would be all that the fuzzer does.
    (void)unwrapRingKey(OperatorKey::fromSecret(std::string(32, 'k')), repository, bytes);
    return 0;
}
