#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <string>

#include "base/random.h"

// Files to make trees of, and one tree with everything that backup programs are known to get wrong.
namespace regrow::test {

inline void put(const std::string& path, std::string_view content) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

inline std::string noise(size_t size, uint64_t seed) {
    Random random(seed);
    std::string out(size, '\0');
    for (size_t i = 0; i + 8 <= size; i += 8) {
        const uint64_t word = random.next();
        std::memcpy(&out[i], &word, sizeof word);
    }
    return out;
}

inline void setTime(const std::string& path, int64_t seconds, long nanoseconds) {
    const timespec times[2] = {{.tv_sec = seconds, .tv_nsec = nanoseconds},
                               {.tv_sec = seconds, .tv_nsec = nanoseconds}};
    ::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW);
}

inline void makeSparse(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    const std::string data = noise(100'000, 4);
    (void)!::ftruncate(fd, 16 << 20);
    (void)!::pwrite(fd, data.data(), data.size(), 8 << 20);
    (void)!::pwrite(fd, data.data(), 5000, (12 << 20) + 4096);
    ::close(fd);
}

inline void makeSocket(const std::string& path) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    (void)!::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    ::close(fd);
}

// A chain of directories with names of 200 bytes, and a file at its end. More than 19 are beyond
// PATH_MAX.
inline void makeDeep(const std::string& root, int levels) {
    int fd = ::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::string name(200, 'd');
    for (int i = 0; i < levels; ++i) {
        ::mkdirat(fd, name.c_str(), 0755);
        const int next = ::openat(fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ::close(fd);
        fd = next;
    }
    const int file = ::openat(fd, "bottom", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    (void)!::write(file, "deep", 4);
    ::close(file);
    ::close(fd);
}

// `as_root`: device nodes, other owners and capabilities as well. Directories come last, so that
// their times stay.
inline void makeAwkwardTree(const std::string& root, bool as_root) {
    ::mkdir(root.c_str(), 0755);
    const auto at = [&](const std::string& name) { return root + "/" + name; };
    put(at("plain"), "hello");
    put(at("empty"), "");
    put(at("large"), noise(3'000'000, 1));
    put(at("repeating"), std::string(700'000, 'x'));
    makeSparse(at("sparse"));
    const int all_hole = ::open(at("all-hole").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    (void)!::ftruncate(all_hole, 1 << 20);
    ::close(all_hole);
    put(at("new\nline"), "n");
    put(at("back\\slash"), "b");
    put(at("\xff\xfe bytes"), "f");
    put(at(std::string(255, 'n')), "long name");
    put(at(" space \"quote' "), "s");
    ::mkdir(at("sub").c_str(), 0755);
    ::mkdir(at("sub/empty-dir").c_str(), 0700);
    put(at("sub/linked"), noise(90'000, 2));
    ::link(at("sub/linked").c_str(), at("linked-too").c_str());
    ::link(at("sub/linked").c_str(), at("sub/linked-three").c_str());
    ::symlink("../outside", at("sub/symlink").c_str());
    ::symlink("nowhere", at("broken").c_str());
    ::symlink("sub", at("to-directory").c_str());
    ::link(at("broken").c_str(), at("broken-too").c_str());
    ::mkfifo(at("fifo").c_str(), 0640);
    put(at("setuid"), "#!");
    put(at("sub-x"), "sorts between sub and sub/ by bytes");
    ::setxattr(at("plain").c_str(), "user.note", "v\0w", 3, 0);
    ::setxattr(at("sub").c_str(), "user.dir", "d", 1, 0);
    put(at("old"), "1969");
    put(at("far"), "2100");
    put(at("closed"), "mode 0000");
    if (as_root) {
        ::chown(at("plain").c_str(), 1234, 4321);
        ::lchown(at("broken").c_str(), 7, 8);
        ::mknod(at("device").c_str(), S_IFCHR | 0600, makedev(1, 3));
        ::mknod(at("block").c_str(), S_IFBLK | 0600, makedev(7, 200));
        const unsigned char capability[20] = {1, 0, 0, 2, 0, 4};
        ::setxattr(at("repeating").c_str(), "security.capability", capability, sizeof capability,
                   0);
    }
    ::chmod(at("setuid").c_str(), 04755);
    ::chmod(at("closed").c_str(), 0);
    ::mkdir(at("deep").c_str(), 0755);
    makeDeep(at("deep"), 17);
    setTime(at("old"), -31'000'000, 123'456'789);
    setTime(at("far"), 4'102'444'800, 1);
    setTime(at("broken"), 1'000'000'000, 5);
    setTime(at("sub"), 946'684'800, 999'999'999);
    setTime(root, 1'234'567'890, 42);
}

}  // namespace regrow::test
