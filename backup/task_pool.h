#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

// A few threads that help one other with short tasks. When as many tasks wait as there are threads,
// run() does the task itself: that bounds what is in memory, and keeps every core busy whether
// making tasks or doing them takes longer. Any thread.
namespace regrow::backup {

class TaskPool {
  public:
    using Task = std::move_only_function<void()>;

    explicit TaskPool(unsigned threads);
    ~TaskPool();  // what waits is done first
    TaskPool(const TaskPool&) = delete;
    TaskPool& operator=(const TaskPool&) = delete;

    void run(Task task);

    // So many that they and their caller fill the machine, within reason.
    static unsigned usualThreads();

  private:
    void work();
    bool queue(Task& task);

    size_t most_waiting_;
    std::mutex mutex_;
    std::condition_variable there_is_work_;
    std::deque<Task> waiting_;
    bool ending_ = false;
    std::vector<std::jthread> threads_;
};

}  // namespace regrow::backup
