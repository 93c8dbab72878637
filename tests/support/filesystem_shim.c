/* A file system that refuses calls: FAULTS="fsync_folder=22 flock=37", each with the errno that it answers. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int fault(const char *call) {
  const char *at = getenv("FAULTS");
  size_t length = strlen(call);
  for (; at && (at = strstr(at, call)); at += length)
    if (at[length] == '=') return atoi(at + length + 1);
  return 0;
}

#define REFUSE(call) do { int number = fault(call); if (number) { errno = number; return -1; } } while (0)
#define REAL(type, name) ((type)dlsym(RTLD_NEXT, name))

int fsync(int file) {
  struct stat found;
  if (!fstat(file, &found) && S_ISDIR(found.st_mode)) REFUSE("fsync_folder");
  return REAL(int (*)(int), "fsync")(file);
}
int fdatasync(int file) { REFUSE("fdatasync"); return REAL(int (*)(int), "fdatasync")(file); }
int flock(int file, int kind) { REFUSE("flock"); return REAL(int (*)(int, int), "flock")(file, kind); }
int fchmod(int file, mode_t mode) { REFUSE("chmod"); return REAL(int (*)(int, mode_t), "fchmod")(file, mode); }
int chmod(const char *path, mode_t mode) { REFUSE("chmod"); return REAL(int (*)(const char *, mode_t), "chmod")(path, mode); }
int fchown(int file, uid_t user, gid_t group) { REFUSE("chown"); return REAL(int (*)(int, uid_t, gid_t), "fchown")(file, user, group); }
int chown(const char *path, uid_t user, gid_t group) { REFUSE("chown"); return REAL(int (*)(const char *, uid_t, gid_t), "chown")(path, user, group); }
int bind(int file, const struct sockaddr *address, socklen_t size) {
  if (address->sa_family == AF_UNIX) REFUSE("bind");
  return REAL(int (*)(int, const struct sockaddr *, socklen_t), "bind")(file, address, size);
}
