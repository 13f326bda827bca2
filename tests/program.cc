#include "program.h"

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace r1 {
namespace {

constexpr int kPatienceMilliseconds = 60'000;

[[noreturn]] void become(const std::vector<std::string>& arguments) {
  std::vector<std::string> copy = arguments;
  std::vector<char*> argv;
  std::string program = R1_BINARY;
  argv.push_back(program.data());
  for (std::string& argument : copy) argv.push_back(argument.data());
  argv.push_back(nullptr);
  execv(argv[0], argv.data());
  _exit(127);
}

int exit_code_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : -1; }

// A file without a name that both processes see.
std::FILE* scratch_file(const std::string& content) {
  std::FILE* file = std::tmpfile();
  std::fwrite(content.data(), 1, content.size(), file);
  std::rewind(file);
  return file;
}

std::string content_of(std::FILE* file) {
  std::string content;
  std::rewind(file);
  char buffer[4096];
  while (const std::size_t count = std::fread(buffer, 1, sizeof buffer, file)) {
    content.append(buffer, count);
  }
  std::fclose(file);
  return content;
}

}  // namespace

ProgramResult run_program(const std::vector<std::string>& arguments, const std::string& input,
                          const std::vector<std::string>& environment) {
  std::FILE* in = scratch_file(input);
  std::FILE* out = scratch_file({});
  std::FILE* err = scratch_file({});
  const pid_t process = fork();
  if (process == 0) {
    dup2(fileno(in), STDIN_FILENO);
    dup2(fileno(out), STDOUT_FILENO);
    dup2(fileno(err), STDERR_FILENO);
    for (const std::string& entry : environment) {
      const std::size_t equals = entry.find('=');
      setenv(entry.substr(0, equals).c_str(), entry.substr(equals + 1).c_str(), 1);
    }
    become(arguments);
  }
  int status = 0;
  waitpid(process, &status, 0);
  std::fclose(in);
  return {exit_code_of(status), content_of(out), content_of(err)};
}

TerminalProgram::TerminalProgram(const std::vector<std::string>& arguments) {
  process_ = forkpty(&terminal_, nullptr, nullptr, nullptr);
  if (process_ == 0) {
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    become(arguments);
  }
}

TerminalProgram::~TerminalProgram() {
  if (process_ > 0) {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }
  close(terminal_);
}

void TerminalProgram::type(const std::string& text) {
  if (write(terminal_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    std::perror("terminal");
  }
}

bool TerminalProgram::read_more() {
  pollfd waiting{terminal_, POLLIN, 0};
  if (poll(&waiting, 1, kPatienceMilliseconds) <= 0) return false;
  char buffer[4096];
  const ssize_t count = read(terminal_, buffer, sizeof buffer);
  if (count <= 0) return false;
  output_.append(buffer, static_cast<std::size_t>(count));
  return true;
}

std::optional<std::string> TerminalProgram::wait_for(const std::string& text) {
  for (;;) {
    const std::size_t at = output_.find(text);
    if (at != output_.npos) {
      const std::string before = output_.substr(0, at);
      output_.erase(0, at + text.size());
      return before;
    }
    if (!read_more()) return std::nullopt;
  }
}

bool TerminalProgram::wait_for_output() { return !output_.empty() || read_more(); }

std::optional<int> TerminalProgram::exit_code() {
  while (read_more()) {
  }
  for (int i = 0; i < kPatienceMilliseconds / 10; ++i) {
    int status = 0;
    if (waitpid(process_, &status, WNOHANG) == process_) {
      process_ = -1;
      return exit_code_of(status);
    }
    usleep(10'000);
  }
  return std::nullopt;
}

}  // namespace r1
