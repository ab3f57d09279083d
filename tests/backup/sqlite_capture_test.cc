#include "backup/sqlite_capture.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>

#include "backup/tree_dir.h"
#include "tests/backup/tree_fixture.h"
#include "tests/support/awkward_tree.h"

using namespace regrow;
using namespace regrow::backup;

namespace {

struct Database {
    explicit Database(const std::string& path) {
        REQUIRE(::sqlite3_open(path.c_str(), &db) == SQLITE_OK);
    }
    ~Database() { ::sqlite3_close(db); }
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;
    bool run(const std::string& sql) const {
        return ::sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK;
    }
    int64_t number(const std::string& sql) const {
        sqlite3_stmt* s = nullptr;
        ::sqlite3_prepare_v2(db, sql.c_str(), -1, &s, nullptr);
        const int64_t n = s && ::sqlite3_step(s) == SQLITE_ROW ? ::sqlite3_column_int64(s, 0) : -1;
        ::sqlite3_finalize(s);
        return n;
    }
    sqlite3* db = nullptr;
};

// Two tables far apart in the file that every transaction changes alike: a torn copy shows as a
// difference.
void makeTables(const std::string& path, const std::string& mode) {
    const Database d(path);
    REQUIRE(d.run("PRAGMA journal_mode=" + mode +
                  "; CREATE TABLE a(k INTEGER PRIMARY KEY, v INT, pad BLOB);"
                  "CREATE TABLE b(k INTEGER PRIMARY KEY, v INT, pad BLOB); BEGIN;"));
    for (const char* table : {"a", "b"})
        for (int i = 0; i < 800; ++i)
            d.run("INSERT INTO " + std::string(table) + " VALUES(" + std::to_string(i) +
                  ", 0, randomblob(3000))");
    REQUIRE(d.run("COMMIT"));
}

// Writes transactions, a hundred a second and more, until killed. Its first commit is told through
// the pipe.
class WriterProcess {
  public:
    explicit WriterProcess(const std::string& path) {
        int ends[2];
        REQUIRE(::pipe(ends) == 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that is killed leaves no writer behind
            write(path, ends[1]);
        }
        char one = 0;
        REQUIRE(::read(ends[0], &one, 1) == 1);
        ::close(ends[0]);
        ::close(ends[1]);
    }
    ~WriterProcess() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    WriterProcess(const WriterProcess&) = delete;
    WriterProcess& operator=(const WriterProcess&) = delete;

  private:
    [[noreturn]] static void write(const std::string& path, int tell) {
        sqlite3* db = nullptr;
        ::sqlite3_open(path.c_str(), &db);
        ::sqlite3_busy_timeout(db, 20'000);
        for (uint64_t i = 0;; ++i) {
            const std::string key = std::to_string(i * 37 % 800);
            const std::string sql =
                "BEGIN IMMEDIATE; UPDATE a SET v=v+1, pad=randomblob(3000) WHERE k=" + key +
                "; UPDATE b SET v=v+1, pad=randomblob(3000) WHERE k=799-" + key + "; COMMIT";
            if (::sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
                ::sqlite3_exec(db, "ROLLBACK", nullptr, nullptr, nullptr);
            ::usleep(
                3000);  // as a service has pauses; SQLite promises readers no turn without them
            if (i == 0) (void)!::write(tell, "x", 1);
        }
    }
    pid_t pid_ = 0;
};

}  // namespace

TEST_CASE("a database in use is captured whole, write-ahead log or rollback journal") {
    const std::string mode = GENERATE("WAL", "DELETE");
    CAPTURE(mode);
    test::TreeFixture f;
    ::mkdir(f.live().c_str(), 0755);
    makeTables(f.live() + "/app.db", mode);
    int64_t last = -1;
    {
        const WriterProcess writer(f.live() + "/app.db");
        for (int round = 0; round < 5; ++round) {
            const Captured captured = f.mustCapture();
            CHECK((captured.snapshot.header.flags & kIncomplete) == 0);
            const std::string to = f.out(std::to_string(round));
            f.mustRestore(to);  // runs the integrity check
            CHECK_FALSE(exists(to + "/app.db-wal"));
            CHECK_FALSE(exists(to + "/app.db-journal"));
            const Database d(to + "/app.db");
            const int64_t sum = d.number("SELECT sum(v) FROM a");
            CHECK(sum == d.number("SELECT sum(v) FROM b"));
            CHECK(sum > last);
            last = sum;
        }
    }
    // The writer was killed, perhaps within a transaction: the rescue must not touch what lies
    // there.
    std::set<std::string> before;
    std::map<std::string, std::string> bytes;
    for (const auto& item : std::filesystem::directory_iterator(f.live()))
        bytes[item.path()] = *readFile(item.path(), 1 << 30);
    f.options.rescue = true;
    f.mustCapture();
    for (const auto& item : std::filesystem::directory_iterator(f.live())) {
        CHECK(bytes[item.path()] == *readFile(item.path(), 1 << 30));
        bytes.erase(item.path());
    }
    CHECK(bytes.empty());
    f.mustRestore(f.out("rescued"));
    const Database d(f.out("rescued") + "/app.db");
    CHECK(d.number("SELECT sum(v) FROM a") == d.number("SELECT sum(v) FROM b"));
    CHECK(d.number("SELECT sum(v) FROM a") >= last);
}

TEST_CASE("a transaction that lies in the log alone is captured, and seen as a change") {
    test::TreeFixture f;
    ::mkdir(f.live().c_str(), 0755);
    const Database d(f.live() + "/app.db");
    REQUIRE(
        d.run("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(x); INSERT "
              "INTO t VALUES(1)"));
    f.mustCapture();
    CHECK(f.mustCapture().unchanged);
    REQUIRE(d.run("INSERT INTO t VALUES(2)"));
    CHECK_FALSE(f.mustCapture().unchanged);
    f.mustRestore(f.out("w"));
    CHECK(Database(f.out("w") + "/app.db").number("SELECT count(*) FROM t") == 2);
}

TEST_CASE("capturing a database nobody uses leaves no trace beside it") {
    test::TreeFixture f;
    ::mkdir(f.live().c_str(), 0755);
    {
        const Database d(f.live() + "/app.db");
        REQUIRE(d.run("PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES(1)"));
    }
    f.mustCapture();
    CHECK(std::distance(std::filesystem::directory_iterator(f.live()),
                        std::filesystem::directory_iterator()) == 1);
    CHECK(f.mustCapture().unchanged);
}

TEST_CASE("a database that is locked too long is a problem of the snapshot, not its end") {
    test::TreeFixture f;
    ::mkdir(f.live().c_str(), 0755);
    test::put(f.live() + "/other", "o");
    const Database d(f.live() + "/app.db");
    REQUIRE(d.run("CREATE TABLE t(x); BEGIN EXCLUSIVE; INSERT INTO t VALUES(1)"));
    f.options.database_wait = std::chrono::milliseconds(50);
    const pid_t child = ::fork();  // POSIX locks do not hold against one's own process
    if (child == 0) {
        const auto captured = f.capture();
        const bool right = captured && (captured->snapshot.header.flags & kIncomplete) &&
                           captured->problems.size() == 1 && captured->problems[0].path == "app.db";
        ::_exit(right ? 0 : 1);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    CHECK(status == 0);
}

TEST_CASE("what only looks like a database is a file") {
    test::TreeFixture f;
    ::mkdir(f.live().c_str(), 0755);
    std::string text(kSqliteMagic);
    text += test::noise(5000, 1);
    test::put(f.live() + "/fake.db", text);
    test::put(f.live() + "/fake.db-wal", "kept, for it belongs to no database");
    const Captured captured = f.mustCapture();
    CHECK(captured.problems.empty());
    f.mustRestore(f.out("f"));
    CHECK(*readFile(f.out("f") + "/fake.db") == text);
    CHECK(exists(f.out("f") + "/fake.db-wal"));
}

TEST_CASE("the integrity check finds a damaged database") {
    test::TreeFixture f;
    ::mkdir(f.live().c_str(), 0755);
    makeTables(f.live() + "/app.db", "DELETE");
    const int fd = ::open(f.live().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const auto sound = checkSqlite(fd, "app.db");
    REQUIRE(sound);
    CHECK(sound->empty());
    std::string bytes = *readFile(f.live() + "/app.db");
    for (size_t page = 4; page < 40; ++page)
        bytes.replace(page * 4096, 64, std::string(64, '\x55'));
    test::put(f.live() + "/app.db", bytes);
    const auto damaged = checkSqlite(fd, "app.db");
    ::close(fd);
    REQUIRE(damaged);
    CHECK_FALSE(damaged->empty());
}

TEST_CASE("a damaged database is kept as it is, said, and restored without a check") {
    test::TreeFixture f;
    ::mkdir(f.live().c_str(), 0755);
    makeTables(f.live() + "/app.db", "DELETE");
    makeTables(f.live() + "/sound.db", "DELETE");
    std::string bytes = *readFile(f.live() + "/app.db");
    for (size_t page = 4; page < 40; ++page)
        bytes.replace(page * 4096, 64, std::string(64, '\x55'));
    test::put(f.live() + "/app.db", bytes);
    const auto damageTold = [](const Captured& captured) {
        return captured.snapshot.header.problems.size() == 1 &&
               captured.snapshot.header.problems[0].find(
                   "app.db: the SQLite database is damaged") == 0;
    };
    const Captured first = f.mustCapture();
    CHECK((first.snapshot.header.flags & kIncomplete));
    CHECK(damageTold(first));
    CHECK(first.snapshot.proven);
    f.mustRestore(f.out("first"));
    CHECK(*readFile(f.out("first") + "/app.db") == bytes);

    CHECK(f.mustCapture().unchanged);  // known, and not found out again
    test::put(f.live() + "/other", "changed");
    const Captured second = f.mustCapture();
    CHECK_FALSE(second.unchanged);
    CHECK((second.snapshot.header.flags & kIncomplete));
    CHECK(damageTold(second));

    ::unlink((f.live() + "/app.db").c_str());
    makeTables(f.live() + "/app.db", "DELETE");
    const Captured mended = f.mustCapture();
    CHECK_FALSE((mended.snapshot.header.flags & kIncomplete));
    CHECK(mended.snapshot.header.problems.empty());
    f.mustRestore(f.out("mended"));
}
