#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

// SQLite as this folder needs it: one connection per user, prepared statements, errors as Error
// naming the file.
namespace r1::serve {

class Database;

// A prepared statement, reused. Parameters are bound in their order.
class Statement {
 public:
  // Executes a statement without rows; returns how many rows it changed.
  template <typename... Values>
  std::int64_t run(const Values&... values) {
    const Reset reset(*this);
    bind_all(values...);
    while (step()) {
    }
    return changes();
  }
  // Calls row(*this) for each row of a query; column(...) reads it.
  template <typename Row, typename... Values>
  void for_each(const Row& row, const Values&... values) {
    const Reset reset(*this);
    bind_all(values...);
    while (step()) row(*this);
  }

  std::int64_t integer(int column) const;
  std::optional<std::int64_t> optional_integer(int column) const;
  std::string text(int column) const;  // also of a blob

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  // A statement that is not reset keeps its read transaction open.
  struct Reset {
    explicit Reset(Statement& s) : statement(s) {}
    ~Reset() { statement.reset(); }
    Reset(const Reset&) = delete;
    Reset& operator=(const Reset&) = delete;
    Statement& statement;
  };

  Statement(const Database& database, std::string_view sql);
  template <typename... Values>
  void bind_all(const Values&... values) {
    int index = 0;
    (bind(++index, values), ...);
  }
  void bind(int index, std::int64_t value);
  void bind(int index, std::optional<std::int64_t> value);
  void bind(int index, std::string_view value);
  void bind(int index, std::span<const std::byte> value);
  bool step();
  void reset();
  std::int64_t changes() const;

  const Database* database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

// A connection; one thread at a time.
class Database {
 public:
  enum class Access { read_only, read_write };
  // Of an existing file. Waits up to ten seconds for other writers.
  Database(std::filesystem::path file, Access access);

  void execute(const char* sql);
  // The statement must not outlive the connection, nor the connection move.
  Statement prepare(std::string_view sql) const { return Statement(*this, sql); }
  const std::filesystem::path& file() const { return file_; }

 private:
  friend class Statement;
  struct Close {
    void operator()(sqlite3* connection) const;
  };
  [[noreturn]] void fail(int code) const;

  std::filesystem::path file_;
  std::unique_ptr<sqlite3, Close> connection_;
};

// All or nothing of what is executed in its lifetime; rolled back unless committed.
class Transaction {
 public:
  // Takes the file's write lock at once, so that what is read holds until the commit.
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
  bool open_ = true;
};

}  // namespace r1::serve
