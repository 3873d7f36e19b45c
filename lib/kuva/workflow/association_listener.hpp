#pragma once

#include <kuva/workflow/target.hpp>

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

namespace kuva::workflow {

// Takes the associations that a peer opens to the target's listener. A thread a connection, at most k_most_connections
// at a time.
class AssociationListener {
 public:
  struct Handlers {
    std::function<ul::Association::Decision(const ul::AssociateRequest&)> decide;
    // On the association's own thread; returns when it has ended.
    std::function<void(ul::Association&)> serve;
  };

  // Errors: listen.failed, tls.config.
  AssociationListener(const Target& target, Handlers handlers, Observer& observer);
  ~AssociationListener();
  AssociationListener(const AssociationListener&) = delete;
  AssociationListener& operator=(const AssociationListener&) = delete;

  // No more connections; those that are open may finish their message, then go.
  void stop();

  std::uint16_t port() const { return m_listener->port(); }
  // Connections that came in, whatever became of them, and associations that were accepted.
  std::uint64_t connections() const { return m_seen; }
  std::uint64_t associations() const { return m_accepted; }
  // Associations that are open now.
  std::size_t open() const { return m_open; }
  // What ended the last connection that did not end well.
  std::optional<Error> last_failure() const;

  static constexpr std::size_t k_most_connections = 32;

 private:
  struct Connection;
  void accept_connections();
  void serve(Connection& connection);
  void reap(bool all);

  const Target& m_target;
  Handlers m_handlers;
  Observer& m_observer;
  std::shared_ptr<const net::TlsContext> m_tls;
  std::unique_ptr<net::Listener> m_listener;
  mutable std::mutex m_mutex;
  std::list<std::unique_ptr<Connection>> m_connections;
  std::optional<Error> m_last_failure;
  std::atomic<std::uint64_t> m_seen{0};
  std::atomic<std::uint64_t> m_accepted{0};
  std::atomic<std::size_t> m_open{0};
  std::jthread m_thread;
};

}  // namespace kuva::workflow
