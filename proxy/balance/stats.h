#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"

// Counters that workers write and control reads. Each worker writes only its own shard (a cache
// line apart from the others), so an increment is a plain load and store; control sums the shards.
// Relaxed: totals may be a moment old, never torn. They outlive views: a place keeps its counters
// across reloads and replaced servers.
namespace regrow {

class Counter {
  public:
    void add(uint64_t n = 1) {
        value_.store(get() + n, std::memory_order_relaxed);
    }  // the shard's owner only
    void sub(uint64_t n = 1) { value_.store(get() - n, std::memory_order_relaxed); }
    uint64_t get() const { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<uint64_t> value_{0};
};

// Log-linear buckets over microseconds: 4 per power of two, so a percentile is right within 19 %.
// (HdrHistogram's idea.)
class LatencyHistogram {
  public:
    static constexpr size_t kBuckets = 128;  // up to 2^32 us, 71 minutes

    void record(Duration d) {
        const auto us = std::chrono::duration_cast<std::chrono::microseconds>(d).count();
        buckets_[bucketOf(us > 0 ? static_cast<uint64_t>(us) : 0)].add();
    }
    uint64_t count(size_t bucket) const { return buckets_[bucket].get(); }

    static constexpr size_t bucketOf(uint64_t us) {
        if (us < 4) return static_cast<size_t>(us);
        const auto top = static_cast<size_t>(std::bit_width(us)) - 1;
        const size_t bucket = (top - 1) * 4 + ((us >> (top - 2)) & 3);
        return bucket < kBuckets ? bucket : kBuckets - 1;
    }
    // The smallest value of a bucket, in microseconds.
    static constexpr uint64_t lowerBound(size_t bucket) {
        if (bucket < 4) return bucket;
        const size_t top = bucket / 4 + 1;
        return (uint64_t{4} + bucket % 4) << (top - 2);
    }

  private:
    std::array<Counter, kBuckets> buckets_;
};

struct alignas(64) BackendShard {
    Counter requests;          // exchanges started on it, attempts included
    Counter responses;         // complete ones
    Counter in_flight;         // a gauge
    Counter connections;       // open to it, idle ones included; a gauge
    Counter connect_failures;  // refused, unreachable, connect timeout
    Counter resets;            // closed or reset before a complete response
    Counter timeouts;          // no first byte, or silence in the body, in time
    Counter bad_answers;       // not HTTP as we accept it
    Counter status_5xx;
    Counter stalls;            // times that it fell silent, for some worker
    Counter bytes_in;          // from the backend
    Counter bytes_out;         // to the backend
    LatencyHistogram latency;  // head sent to response head received
};

struct BackendStats {
    explicit BackendStats(size_t workers) : shards(workers) {}
    uint64_t sum(Counter BackendShard::* counter) const {
        uint64_t total = 0;
        for (const auto& shard : shards) total += (shard.*counter).get();
        return total;
    }
    std::vector<BackendShard> shards;
    // Failures seen by any worker: after one, the next success is news to each of them.
    std::atomic<uint32_t> failures = 0;
};

struct alignas(64) PoolShard {
    Counter requests;
    Counter in_flight;     // on its backends; a gauge
    Counter errors;        // answered with a 5xx of ours (502, 503, 504)
    Counter retries;       // attempts beyond the first
    Counter hedges;        // requests that a second backend was asked for beside the first
    Counter hedges_won;    // of those, by the second
    Counter replayed;      // sent again because a fence cut them off
    Counter held;          // requests that had to wait; a total
    Counter released;      // of those, sent on to a backend
    Counter hold_expired;  // of those, answered 503
    Counter client_aborts;
    std::array<Counter, 6> status;  // [0] none, [1] 1xx … [5] 5xx as sent to clients
};

struct PoolStats {
    explicit PoolStats(size_t workers) : shards(workers) {}
    uint64_t sum(Counter PoolShard::* counter) const {
        uint64_t total = 0;
        for (const auto& shard : shards) total += (shard.*counter).get();
        return total;
    }
    std::vector<PoolShard> shards;
    // Now waiting, over all workers: the bound of hold.requests. Workers fetch_add; touched only by
    // requests that wait.
    std::atomic<int> waiting{0};
};

// Why a client or its request was not taken: one of our own limits.
enum class Refusal : uint8_t { address, connections, rate, concurrent, memory };
inline constexpr size_t kRefusals = 5;
inline constexpr std::array<const char*, kRefusals> kRefusalNames = {
    "address", "connections", "rate", "concurrent", "memory"};

struct alignas(64) ListenerShard {
    Counter connections;  // accepted, a total
    Counter open;         // a gauge
    Counter requests;
    Counter bad_requests;  // refused with a 4xx of ours
    std::array<Counter, kRefusals> refused;
    Counter handshakes;   // of TLS, completed
    Counter resumptions;  // of those, with a ticket
    Counter handshake_failures;
};

struct ListenerStats {
    explicit ListenerStats(size_t workers) : shards(workers) {}
    uint64_t sum(Counter ListenerShard::* counter) const {
        uint64_t total = 0;
        for (const auto& shard : shards) total += (shard.*counter).get();
        return total;
    }
    uint64_t refused(Refusal why) const {
        uint64_t total = 0;
        for (const auto& shard : shards) total += shard.refused[static_cast<size_t>(why)].get();
        return total;
    }
    std::vector<ListenerShard> shards;
};

}  // namespace regrow
