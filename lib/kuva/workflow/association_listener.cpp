#include <kuva/net/stream.hpp>
#include <kuva/workflow/association_listener.hpp>

#include <fmt/format.h>

namespace kuva::workflow {

namespace {

// How long an association that is open may still finish its message when we end.
constexpr std::chrono::milliseconds k_last_words{2'000};

}  // namespace

std::optional<Error> AssociationListener::last_failure() const {
  const std::lock_guard lock(m_mutex);
  return m_last_failure;
}

struct AssociationListener::Connection {
  std::unique_ptr<net::Incoming> incoming;
  std::mutex mutex;                        // of the pointer below
  ul::Association* association = nullptr;  // while it is served
  std::atomic<bool> done{false};
  std::jthread thread;
};

AssociationListener::AssociationListener(const Target& target, Handlers handlers, Observer& observer)
    : m_target(target),
      m_handlers(std::move(handlers)),
      m_observer(observer),
      m_tls(target.listener->tls ? net::TlsContext::server(target.listener->tls_settings) : nullptr),
      m_listener(net::Listener::open(target.listener->bind)),
      m_thread([this] { accept_connections(); }) {}

AssociationListener::~AssociationListener() { stop(); }

void AssociationListener::stop() {
  m_listener->close();
  if (m_thread.joinable()) {
    m_thread.join();
  }
  const Deadline deadline = Deadline::after(k_last_words);
  for (;;) {
    reap(false);
    const std::lock_guard lock(m_mutex);
    if (m_connections.empty()) {
      return;
    }
    if (deadline.expired()) {
      break;
    }
    // A connection that only idles is not waited for.
    for (const auto& connection : m_connections) {
      const std::lock_guard association_lock(connection->mutex);
      if (connection->association == nullptr) {
        connection->incoming->shutdown();
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  {
    const std::lock_guard lock(m_mutex);
    for (const auto& connection : m_connections) {
      const std::lock_guard association_lock(connection->mutex);
      if (connection->association != nullptr) {
        connection->association->shutdown();
      }
      connection->incoming->shutdown();
    }
  }
  reap(true);
}

// Removes the connections whose thread has ended; `all` waits for every one.
void AssociationListener::reap(bool all) {
  std::list<std::unique_ptr<Connection>> ended;
  {
    const std::lock_guard lock(m_mutex);
    for (auto it = m_connections.begin(); it != m_connections.end();) {
      const auto here = it++;
      if (all || (*here)->done) {
        ended.splice(ended.end(), m_connections, here);
      }
    }
  }
}

void AssociationListener::accept_connections() {
  while (std::unique_ptr<net::Incoming> incoming = m_listener->accept(Deadline::never())) {
    ++m_seen;
    reap(false);
    const std::lock_guard lock(m_mutex);
    if (m_connections.size() >= k_most_connections) {
      m_observer.message(Observer::Level::warning, fmt::format("connection from {} refused: {} are open",
                                                               incoming->peer().address, m_connections.size()));
      continue;
    }
    auto connection = std::make_unique<Connection>();
    connection->incoming = std::move(incoming);
    Connection& reference = *connection;
    m_connections.push_back(std::move(connection));
    reference.thread = std::jthread([this, &reference] {
      serve(reference);
      reference.done = true;
    });
  }
}

void AssociationListener::serve(Connection& connection) {
  const std::string from = connection.incoming->peer().address;
  try {
    auto stream = connection.incoming->open(m_tls, Deadline::after(m_target.tls_timeout));
    if (m_target.trace) {
      stream = m_target.trace->wrap(std::move(stream), TraceDirectory::Direction::in);
    }
    std::string called;
    const auto decide = [this, &called](const ul::AssociateRequest& request, const net::Stream&) {
      called = request.called_ae;
      return m_handlers.decide(request);
    };
    const auto association = ul::Association::accept(std::move(stream), decide, m_target.association_timeouts);
    if (!association) {
      throw Error(kind("listen.rejected"),
                  fmt::format("an association was rejected: it calls AE title \"{}\", ours is \"{}\"", called,
                              m_target.calling_ae));
    }
    ++m_accepted;
    {
      const std::lock_guard lock(connection.mutex);
      connection.association = association.get();
    }
    ++m_open;
    try {
      m_handlers.serve(*association);
    } catch (...) {
      --m_open;
      const std::lock_guard lock(connection.mutex);
      connection.association = nullptr;
      throw;
    }
    --m_open;
    const std::lock_guard lock(connection.mutex);
    connection.association = nullptr;
  } catch (const Error& error) {
    {
      const std::lock_guard lock(m_mutex);
      m_last_failure = error;
    }
    m_observer.message(Observer::Level::warning,
                       fmt::format("connection from {}: {}: {}", from, error.kind().code, error.message()));
  } catch (const std::exception& exception) {
    m_observer.message(Observer::Level::error, fmt::format("connection from {}: {}", from, exception.what()));
  }
}

}  // namespace kuva::workflow
