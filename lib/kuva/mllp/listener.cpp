#include <kuva/mllp/listener.hpp>

#include <fmt/format.h>

#include <condition_variable>
#include <list>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

namespace kuva::mllp {

namespace {

constexpr std::chrono::milliseconds k_parting_limit{1'000};

class RunningListener final : public Listener {
 public:
  RunningListener(const ListenerSettings& settings, Handler& handler)
      : m_settings(settings), m_handler(handler), m_listener(net::Listener::open(settings.bind)) {
    m_acceptor = std::thread([this] { accept(); });
  }
  ~RunningListener() override { stop(std::chrono::milliseconds(0)); }

  std::uint16_t port() const override { return m_listener->port(); }

  void stop(std::chrono::milliseconds limit) noexcept override {
    m_listener->close();
    if (m_acceptor.joinable()) {
      m_acceptor.join();
    }
    std::unique_lock lock(m_mutex);
    m_stopping = true;
    for (Open& open : m_open) {
      if (!open.busy) {
        cut(open);
      }
    }
    m_changed.wait_for(lock, limit, [this] { return m_open.empty(); });
    for (Open& open : m_open) {
      cut(open);
    }
    m_changed.wait(lock, [this] { return m_open.empty(); });
    lock.unlock();
    join_finished();
  }

 private:
  struct Open {
    std::uint64_t number = 0;
    std::shared_ptr<net::Incoming> incoming;
    net::Stream* stream = nullptr;  // once the handshake is done
    bool busy = false;              // a message is being answered
    std::thread thread;
  };

  static void cut(Open& open) noexcept {
    if (open.stream != nullptr) {
      open.stream->shutdown();
    } else if (open.incoming) {
      open.incoming->shutdown();
    }
  }

  void accept() {
    while (std::shared_ptr<net::Incoming> incoming = m_listener->accept(Deadline::never())) {
      join_finished();
      // It is told before the connection ends with `incoming`: who is cut off may ask why at once.
      if (const auto error = admit(incoming)) {
        report(*error, m_count);
      }
    }
  }

  // Why the connection is closed at once; nothing when it is served. The next one may find room again.
  std::optional<Error> admit(const std::shared_ptr<net::Incoming>& incoming) {
    const std::lock_guard lock(m_mutex);
    ++m_count;
    if (m_open.size() >= m_settings.connections) {
      return Error(kind("local.resource"), fmt::format("a connection was closed: {} are open already, and no more are "
                                                       "served at the same time",
                                                       m_open.size()));
    }
    const auto open = m_open.emplace(m_open.end());
    open->number = m_count;
    open->incoming = incoming;
    try {
      open->thread = std::thread([this, open] { serve(open); });
    } catch (const std::system_error& error) {
      m_open.erase(open);
      return Error(kind("local.resource"), fmt::format("a connection was closed: no thread for it: {}", error.what()));
    }
    return std::nullopt;
  }

  void serve(std::list<Open>::iterator open) noexcept {
    try {
      converse(*open);
    } catch (const Error& error) {
      report(error, open->number);
    } catch (const std::exception& error) {
      report(Error(kind("internal"), error.what()), open->number);
    }
    const std::lock_guard lock(m_mutex);
    m_finished.push_back(std::move(open->thread));
    m_open.erase(open);
    m_changed.notify_all();
  }

  void report(const Error& error, std::uint64_t number) noexcept {
    {
      const std::lock_guard lock(m_mutex);
      if (m_stopping) {
        return;  // cut by us
      }
    }
    try {
      m_handler.on_error(error, number);
    } catch (const std::exception&) {
      // Whoever takes errors has one itself; there is nobody left to tell.
    }
  }

  void converse(Open& open) {
    Connection connection(
        m_handler.on_connection(open.incoming->open(m_settings.tls, Deadline::after(m_settings.handshake_timeout)),
                                open.number),
        m_settings.limit);
    // Whoever stops the listener must not meet a stream that is gone.
    struct Registration {
      RunningListener& listener;
      Open& open;
      Registration(RunningListener& owner, Open& entry, net::Stream& stream) : listener(owner), open(entry) {
        const std::lock_guard lock(listener.m_mutex);
        open.stream = &stream;
      }
      ~Registration() {
        const std::lock_guard lock(listener.m_mutex);
        open.stream = nullptr;
        open.incoming.reset();
      }
    } const registration(*this, open, connection.stream());
    while (!is_stopping()) {
      auto message = connection.receive(Deadline::after(m_settings.idle_timeout));
      if (!message) {
        break;
      }
      set_busy(open, true);
      const Received received{std::move(*message), connection.stream().peer(), open.number, connection.faults()};
      const auto answer = m_handler.on_message(received);
      if (!answer) {
        break;
      }
      connection.send(*answer, m_settings.stall_limit);
      set_busy(open, false);
    }
    connection.stream().close(Deadline::after(k_parting_limit));
  }

  bool is_stopping() {
    const std::lock_guard lock(m_mutex);
    return m_stopping;
  }

  void set_busy(Open& open, bool busy) {
    const std::lock_guard lock(m_mutex);
    open.busy = busy;
  }

  void join_finished() noexcept {
    std::list<std::thread> finished;
    {
      const std::lock_guard lock(m_mutex);
      finished.swap(m_finished);
    }
    for (std::thread& thread : finished) {
      thread.join();
    }
  }

  ListenerSettings m_settings;
  Handler& m_handler;
  std::unique_ptr<net::Listener> m_listener;
  std::thread m_acceptor;
  std::mutex m_mutex;
  std::condition_variable m_changed;
  std::list<Open> m_open;
  std::list<std::thread> m_finished;
  std::uint64_t m_count = 0;
  bool m_stopping = false;
};

}  // namespace

std::unique_ptr<net::Stream> Handler::on_connection(std::unique_ptr<net::Stream> stream, std::uint64_t) {
  return stream;
}

std::unique_ptr<Listener> Listener::start(const ListenerSettings& settings, Handler& handler) {
  return std::make_unique<RunningListener>(settings, handler);
}

}  // namespace kuva::mllp
