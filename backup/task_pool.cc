#include "backup/task_pool.h"

#include <algorithm>

namespace regrow::backup {

TaskPool::TaskPool(unsigned threads) : most_waiting_(threads) {
    threads_.reserve(threads);
    for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

TaskPool::~TaskPool() {
    {
        const std::scoped_lock lock(mutex_);
        ending_ = true;
    }
    there_is_work_.notify_all();
}

unsigned TaskPool::usualThreads() {
    return std::clamp(std::thread::hardware_concurrency(), 2U, 5U) - 1;
}

void TaskPool::run(Task task) {
    if (!queue(task)) task();
}

bool TaskPool::queue(Task& task) {
    {
        const std::scoped_lock lock(mutex_);
        if (waiting_.size() >= most_waiting_) return false;
        waiting_.push_back(std::move(task));
    }
    there_is_work_.notify_one();
    return true;
}

void TaskPool::work() {
    while (true) {
        std::unique_lock lock(mutex_);
        there_is_work_.wait(lock, [&] { return ending_ || !waiting_.empty(); });
        if (waiting_.empty()) return;
        Task task = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        task();
    }
}

}  // namespace regrow::backup
