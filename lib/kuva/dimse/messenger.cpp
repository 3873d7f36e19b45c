#include <kuva/dimse/messenger.hpp>
#include <kuva/dimse/status.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace kuva::dimse {

namespace {

// A command set has a few hundred bytes; N-GET's attribute list may be longer.
constexpr std::size_t k_largest_command = 64U << 10U;

std::span<const std::byte> as_bytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace

Messenger::Messenger(ul::Association& association) : m_association(association) {}

void Messenger::fail(std::string what) {
  Error error(kind("association.protocol"), std::move(what));
  error.with_peer(m_association.peer());
  m_association.abort();
  throw error;
}

std::uint16_t Messenger::next_message_id() {
  do {
    m_last_message_id = static_cast<std::uint16_t>(m_last_message_id == 0xFFFF ? 1 : m_last_message_id + 1);
  } while (std::find(m_outstanding.begin(), m_outstanding.end(), m_last_message_id) != m_outstanding.end());
  return m_last_message_id;
}

void Messenger::remember(const Command& command) {
  if (!is_response(command.field) && command.message_id) {
    m_outstanding.push_back(*command.message_id);
  }
}

ul::Association::Sent Messenger::send(std::uint8_t context_id, const Command& command, const ul::DataSource& data,
                                      const ul::Association::OnAnswer& on_answer) {
  Command with_data = command;
  with_data.has_data_set = true;
  remember(command);
  const std::string bytes = encode(with_data);
  return m_association.send(context_id, as_bytes(bytes), data, on_answer);
}

void Messenger::send(std::uint8_t context_id, const Command& command, const dicom::DataSet& data) {
  const ul::AcceptedContext* const context = m_association.find_context(context_id);
  if (context == nullptr) {
    fail(fmt::format("presentation context {} is not one that was agreed on", context_id));
  }
  const std::string bytes = data.encode(dicom::transfer_syntax(context->transfer_syntax));
  std::size_t position = 0;
  send(context_id, command, [&bytes, &position](std::span<std::byte> buffer) {
    const std::size_t count = std::min(buffer.size(), bytes.size() - position);
    std::memcpy(buffer.data(), bytes.data() + position, count);
    position += count;
    return count;
  });
}

void Messenger::send(std::uint8_t context_id, const Command& command) {
  Command alone = command;
  alone.has_data_set = false;
  remember(command);
  const std::string bytes = encode(alone);
  m_association.send(context_id, as_bytes(bytes));
}

Messenger::Event Messenger::receive(Deadline deadline, Message& message) {
  ul::Pdv pdv;
  for (;;) {
    switch (m_association.read(deadline, pdv)) {
      case ul::Association::Event::timeout:
        return Event::timeout;
      case ul::Association::Event::release_requested:
        if (m_command_context || m_open) {
          fail("the peer asked for release in the middle of a message");
        }
        return Event::release_requested;
      case ul::Association::Event::pdv:
        break;
    }
    if (!pdv.is_command) {
      fail("the peer sent data set fragments where a command set was due");
    }
    if (m_command_context && *m_command_context != pdv.context_id) {
      fail("the peer's command set changes its presentation context");
    }
    if (m_association.find_context(pdv.context_id) == nullptr) {
      fail(fmt::format("the peer uses presentation context {}, which was not agreed on", pdv.context_id));
    }
    if (pdv.data.size() > k_largest_command - m_command_bytes.size()) {
      fail(fmt::format("the peer's command set is larger than {} bytes", k_largest_command));
    }
    m_command_context = pdv.context_id;
    m_command_bytes.append(reinterpret_cast<const char*>(pdv.data.data()), pdv.data.size());
    if (!pdv.is_last) {
      continue;
    }
    message.context_id = pdv.context_id;
    try {
      message.command = decode(as_bytes(m_command_bytes));
    } catch (const Error& error) {
      fail(error.message());
    }
    m_command_bytes.clear();
    m_command_context.reset();
    const Command& command = message.command;
    if (is_response(command.field) && command.message_id_responded_to &&
        status_class(command.status.value_or(0)) != StatusClass::pending) {
      std::erase(m_outstanding, *command.message_id_responded_to);
    }
    if (command.has_data_set) {
      m_open = message;
    }
    return Event::message;
  }
}

void Messenger::receive_data(const Sink& sink, std::chrono::milliseconds stall_limit) {
  if (!m_open) {
    return;
  }
  const Message message = *m_open;
  ul::Pdv pdv;
  for (;;) {
    switch (m_association.read(Deadline::after(stall_limit), pdv)) {
      case ul::Association::Event::timeout: {
        Error error(kind("connection.timeout"),
                    fmt::format("the data set of {} stopped coming for {}", to_string(message.command.field),
                                format_duration(stall_limit)));
        error.with_peer(m_association.peer());
        m_association.abort();
        throw error;
      }
      case ul::Association::Event::release_requested:
        fail("the peer asked for release in the middle of a data set");
      case ul::Association::Event::pdv:
        break;
    }
    if (pdv.is_command) {
      fail("the peer sent a command set in the middle of a data set");
    }
    if (pdv.context_id != message.context_id) {
      fail("the peer's data set is on another presentation context than its command set");
    }
    const bool is_last = pdv.is_last;
    if (!pdv.data.empty()) {
      try {
        sink(pdv.data);
      } catch (...) {
        m_association.abort();
        throw;
      }
    }
    if (is_last) {
      m_open.reset();
      return;
    }
  }
}

dicom::DataSet Messenger::receive_data_set(std::chrono::milliseconds stall_limit, std::size_t limit) {
  if (!m_open) {
    return {};
  }
  const std::uint8_t context_id = m_open->context_id;
  std::string bytes;
  receive_data(
      [this, &bytes, limit](std::span<const std::byte> piece) {
        if (piece.size() > limit - bytes.size()) {
          fail(fmt::format("the peer's data set is larger than {} bytes", limit));
        }
        bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
      },
      stall_limit);
  try {
    const ul::AcceptedContext* const context = m_association.find_context(context_id);
    return dicom::DataSet::decode(as_bytes(bytes), dicom::transfer_syntax(context->transfer_syntax));
  } catch (const Error& error) {
    fail(fmt::format("the peer's data set cannot be read: {}", error.message()));
  }
}

}  // namespace kuva::dimse
