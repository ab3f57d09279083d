#include "tests/support/allocation_counter.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

thread_local uint64_t thread_count = 0;
std::atomic<uint64_t> process_count{0};

void* counted(void* memory) {
    if (memory == nullptr) throw std::bad_alloc();
    ++thread_count;
    process_count.fetch_add(1, std::memory_order_relaxed);
    return memory;
}

[[maybe_unused]] void* allocate(std::size_t size) {
    return counted(std::malloc(size == 0 ? 1 : size));
}

[[maybe_unused]] void* allocateAligned(std::size_t size, std::align_val_t alignment) {
    const auto align = static_cast<std::size_t>(alignment);
    return counted(std::aligned_alloc(align, (size + align - 1) / align * align));
}

}  // namespace

namespace regrow::test {
uint64_t threadAllocations() {
    return thread_count;
}
uint64_t processAllocations() {
    return process_count.load(std::memory_order_relaxed);
}
}  // namespace regrow::test

// The sanitizers bring operators of their own, which must stay whole: there nothing is counted.
#ifndef REGROW_SANITIZED

void* operator new(std::size_t size) {
    return allocate(size);
}
void* operator new[](std::size_t size) {
    return allocate(size);
}
void* operator new(std::size_t size, std::align_val_t a) {
    return allocateAligned(size, a);
}
void* operator new[](std::size_t size, std::align_val_t a) {
    return allocateAligned(size, a);
}
void operator delete(void* p) noexcept {
    std::free(p);
}
void operator delete[](void* p) noexcept {
    std::free(p);
}
void operator delete(void* p, std::size_t) noexcept {
    std::free(p);
}
void operator delete[](void* p, std::size_t) noexcept {
    std::free(p);
}
void operator delete(void* p, std::align_val_t) noexcept {
    std::free(p);
}
void operator delete[](void* p, std::align_val_t) noexcept {
    std::free(p);
}
void operator delete(void* p, std::size_t, std::align_val_t) noexcept {
    std::free(p);
}
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept {
    std::free(p);
}

#endif
