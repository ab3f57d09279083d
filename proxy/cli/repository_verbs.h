#pragma once

#include <string>
#include <vector>

#include "backup/capture.h"
#include "backup/restore.h"

// The verbs that work on a repository; arguments are checked for presence by who parsed them. Each
// returns its exit code and has told its result.
namespace regrow::cli {

struct RepositoryArguments {
    std::string repo;
    std::string key_file;
    bool json = false;
};

struct BackupArguments : RepositoryArguments {
    backup::CaptureOptions capture;
};

struct SnapshotsArguments : RepositoryArguments {
    std::string name;  // empty: all
};

struct RestoreArguments : RepositoryArguments {
    std::string name;
    std::string at = "latest";
    std::vector<std::string> include;
    std::string recovery;  // who pins
    bool pin = false;
    backup::RestoreOptions restore;
};

int keyNew(const std::string& path, bool json);
int repoInit(const RepositoryArguments& arguments);
int backupDirectory(BackupArguments& arguments);
int listSnapshots(const SnapshotsArguments& arguments);
int restoreSnapshot(RestoreArguments& arguments);
int streamSnapshot(RestoreArguments& arguments);  // a tar on standard output
int verifyRepository(const RepositoryArguments& arguments);

}  // namespace regrow::cli
