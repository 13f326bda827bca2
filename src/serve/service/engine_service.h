#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/engine.h"
#include "serve/catalog.h"
#include "serve/config.h"
#include "serve/metrics/metrics.h"
#include "serve/prepare.h"
#include "serve/service/answer_queue.h"

namespace r1::serve {

// A model that is loaded, or is not.
struct ModelState {
  const CatalogEntry* entry = nullptr;
  bool loaded = false;
  std::int64_t bytes = 0;                 // that it takes, cache included
  std::int64_t expires = 0;               // seconds since 1970 at which it is unloaded; 0: never
  std::int64_t running = 0, waiting = 0;  // sequences
  std::int64_t pages = 0, free_pages = 0;
  EngineStats stats;
};

// Owns the engines of all loaded models on one thread, which steps them in turn: submits what came
// in, drops what nobody reads any more, sends out what was drawn. It sleeps while there is nothing
// to do. A request that fails, and even a model that does, leaves the others alone.
class EngineService {
 public:
  EngineService(const Catalog& catalog, const ServerConfig& config, Metrics& metrics);
  ~EngineService();
  EngineService(const EngineService&) = delete;
  EngineService& operator=(const EngineService&) = delete;

  // Takes a request; what becomes of it goes to the queue. Throws ApiError (503) when too much is
  // waiting already or the server is about to end. Any thread.
  void submit(PreparedRequest request, std::shared_ptr<AnswerQueue> answer);
  // A reader has gone: its pages are free at the next step. Any thread.
  void look_for_abandoned() { wake(); }
  // Loads a model ahead of the first request for it, or drops one that is idle. `done` is called
  // from the service's thread, with what went wrong if anything did.
  void load(const CatalogEntry& entry, std::optional<std::int64_t> keep_alive,
            std::function<void(const std::string& error)> done);
  void unload(const CatalogEntry& entry);

  // From now on submit() throws; what is under way goes on.
  void refuse_new() { draining_ = true; }
  // Ends what is under way and forgets all of it.
  void stop();
  bool draining() const { return draining_; }

  std::vector<ModelState> states() const;
  // Sequences that wait or run, of all models.
  std::int64_t under_way() const { return under_way_; }

 private:
  struct Job;
  struct Runner;
  struct LoadRequest;

  void run();
  void wake();
  void take_orders();
  bool start_waiting();
  bool start(const std::shared_ptr<Job>& job);
  Runner* runner_for(const CatalogEntry& entry);
  void load_runner(Runner& runner);
  bool make_room(std::int64_t bytes);
  void drop_unwanted(Runner& runner);
  void step(Runner& runner);
  void give_out(Runner& runner, Engine::Event event);
  void finish_sample(Runner& runner, Job& job, std::size_t sample);
  void fail(Job& job, const ApiError& error);
  void fail_all(Runner& runner, const ApiError& error);
  void unload_expired();
  void publish_states();

  const Catalog& catalog_;
  const ServerConfig& config_;
  Metrics& metrics_;
  const std::int64_t memory_;
  Backend backend_;
  std::vector<std::unique_ptr<Runner>> runners_;  // one per catalog entry
  std::vector<std::shared_ptr<Job>> waiting_;     // for a model to be loaded

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::shared_ptr<Job>> submitted_;
  std::vector<LoadRequest> load_requests_;
  std::vector<const CatalogEntry*> unload_requests_;
  std::vector<ModelState> states_;
  bool woken_ = false, stop_ = false;
  std::chrono::steady_clock::time_point published_{};  // the states
  std::atomic<bool> draining_ = false;
  std::atomic<std::int64_t> under_way_ = 0;
  std::thread thread_;
};

}  // namespace r1::serve
