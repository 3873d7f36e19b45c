#include <kuva/core/error.hpp>
#include <kuva/dicom/dictionary.hpp>
#include <kuva/rules/expression.hpp>
#include <kuva/rules/values.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

namespace kuva::rules {

namespace {

constexpr double k_no_number = std::numeric_limits<double>::quiet_NaN();

bool is_letter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::optional<unsigned> hexadecimal(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

}  // namespace

// By recursive descent; the depth is bounded.
class ExpressionParser {
 public:
  explicit ExpressionParser(std::string_view text) : m_text(text) {}

  Expression::Node whole() {
    if (m_text.size() > Expression::k_longest) {
      fail_condition("the expression is too long");
    }
    Expression::Node node = disjunction();
    skip_space();
    if (m_at != m_text.size()) {
      fail_condition("the expression ends before its text does");
    }
    return node;
  }

  AttributePath whole_path() {
    AttributePath found = path();
    skip_space();
    if (m_at != m_text.size()) {
      fail_condition("more than a path");
    }
    return found;
  }

 private:
  using Node = Expression::Node;
  using Op = Expression::Op;
  using Operand = Expression::Operand;

  [[noreturn]] void fail_condition(std::string_view what) const {
    throw Error(kind("usage.profile"),
                fmt::format("{} at character {} of \"{}\"", what, m_at + 1, m_text.substr(0, 200)));
  }

  void skip_space() {
    while (m_at < m_text.size() && (m_text[m_at] == ' ' || m_text[m_at] == '\n' || m_text[m_at] == '\t')) {
      ++m_at;
    }
  }

  char peek() {
    skip_space();
    return m_at < m_text.size() ? m_text[m_at] : '\0';
  }

  bool accept(std::string_view sign) {
    skip_space();
    if (!m_text.substr(m_at).starts_with(sign)) {
      return false;
    }
    const std::size_t end = m_at + sign.size();
    if (is_letter(sign.back()) && end < m_text.size() && (is_letter(m_text[end]) || is_digit(m_text[end]))) {
      return false;  // a longer word
    }
    m_at = end;
    return true;
  }

  void expect(std::string_view sign) {
    if (!accept(sign)) {
      fail_condition(fmt::format("'{}' is missing", sign));
    }
  }

  Node disjunction() {
    if (++m_depth > Expression::k_deepest) {
      fail_condition("the expression is nested too deeply");
    }
    Node node;
    node.op = Op::any;
    do {
      node.parts.push_back(conjunction());
    } while (accept("or"));
    --m_depth;
    return node.parts.size() == 1 ? std::move(node.parts.front()) : std::move(node);
  }

  Node conjunction() {
    Node node;
    node.op = Op::all;
    do {
      node.parts.push_back(negation());
    } while (accept("and"));
    return node.parts.size() == 1 ? std::move(node.parts.front()) : std::move(node);
  }

  Node negation() {
    bool negative = false;
    while (accept("not")) {
      negative = !negative;
    }
    Node node = primary();
    if (!negative) {
      return node;
    }
    Node outer;
    outer.op = Op::negation;
    outer.parts.push_back(std::move(node));
    return outer;
  }

  // A bracket opens a part of the expression, or a tag.
  bool at_tag() {
    skip_space();
    return m_text.size() - m_at >= 11 && m_text[m_at] == '(' && m_text[m_at + 5] == ',' && m_text[m_at + 10] == ')';
  }

  Node primary() {
    if (!at_tag() && accept("(")) {
      Node node = disjunction();
      expect(")");
      return node;
    }
    Node node;
    if (accept("true") || accept("false")) {
      node.op = m_text[m_at - 2] == 'u' ? Op::always : Op::never;
      return node;
    }
    for (const auto& [word, op] : {std::pair{std::string_view("present"), Op::present}, {"filled", Op::filled}}) {
      if (accept(word)) {
        expect("(");
        node.op = op;
        node.left.path = path();
        expect(")");
        return node;
      }
    }
    return comparison();
  }

  Node comparison() {
    Node node;
    node.left = operand();
    if (accept("in")) {
      node.op = Op::in;
      expect("[");
      do {
        add_literal(node.right);
      } while (accept(","));
      expect("]");
      return node;
    }
    bool turned = false;
    if (accept("!=")) {
      node.op = Op::unequal;
    } else if (accept("=")) {
      node.op = Op::equal;
    } else if (accept("<=")) {
      node.op = Op::at_most;
    } else if (accept("<")) {
      node.op = Op::less;
    } else if (accept(">=")) {
      node.op = Op::at_most;
      turned = true;
    } else if (accept(">")) {
      node.op = Op::less;
      turned = true;
    } else {
      fail_condition("a comparison is missing");
    }
    node.right = operand();
    if (turned) {
      std::swap(node.left, node.right);
    }
    return node;
  }

  Operand operand() {
    Operand operand;
    const char next = peek();
    if (next == '"' || is_digit(next) || next == '-') {
      add_literal(operand);
      return operand;
    }
    operand.kind = Operand::Kind::value;
    for (const auto& [word, found] :
         {std::pair{std::string_view("count"), Operand::Kind::count}, {"length", Operand::Kind::length}}) {
      if (accept(word)) {
        expect("(");
        operand.kind = found;
        operand.path = path();
        expect(")");
        return with_sum(std::move(operand));
      }
    }
    operand.path = path();
    if (accept("[")) {
      const double index = number();
      if (!(index >= 1 && index <= 65535)) {
        fail_condition("not the number of a value");
      }
      operand.index = static_cast<std::size_t>(index);
      expect("]");
    }
    return with_sum(std::move(operand));
  }

  Operand with_sum(Operand operand) {
    if (accept("+")) {
      operand.plus = number();
    } else if (accept("-")) {
      operand.plus = -number();
    }
    return operand;
  }

  double number() {
    skip_space();
    std::size_t end = m_at;
    while (end < m_text.size() &&
           (is_digit(m_text[end]) || m_text[end] == '.' || (end == m_at && m_text[end] == '-'))) {
      ++end;
    }
    const double value = number_of(m_text.substr(m_at, end - m_at));
    if (std::isnan(value)) {
      fail_condition("not a number");
    }
    m_at = end;
    return value;
  }

  void add_literal(Operand& operand) {
    if (peek() != '"') {
      operand.numbers.push_back(number());
      operand.texts.emplace_back();
      return;
    }
    const std::size_t end = m_text.find('"', m_at + 1);
    if (end == std::string_view::npos) {
      fail_condition("the text has no end");
    }
    operand.texts.emplace_back(m_text.substr(m_at + 1, end - m_at - 1));
    operand.numbers.push_back(k_no_number);
    m_at = end + 1;
  }

  AttributePath path() {
    AttributePath found;
    if (accept("root")) {
      found.from_root = true;
      expect(".");
    }
    do {
      found.tags.push_back(tag());
      if (found.tags.size() > dicom::DataSetReader::k_deepest_nesting) {
        fail_condition("the path is too long");
      }
    } while (accept("."));
    found.from_root = found.from_root || found.tags.front() == dicom::tags::transfer_syntax_uid;
    return found;
  }

  dicom::Tag tag() {
    if (at_tag()) {
      const auto group = hexadecimal(m_text.substr(m_at + 1, 4));
      const auto element = hexadecimal(m_text.substr(m_at + 6, 4));
      if (!group || !element) {
        fail_condition("not a tag");
      }
      m_at += 11;
      return {static_cast<std::uint16_t>(*group), static_cast<std::uint16_t>(*element)};
    }
    skip_space();
    std::size_t end = m_at;
    while (end < m_text.size() && (is_letter(m_text[end]) || is_digit(m_text[end]))) {
      ++end;
    }
    const std::string_view keyword = m_text.substr(m_at, end - m_at);
    const dicom::DictionaryEntry* entry = keyword.empty() ? nullptr : dicom::find_entry(keyword);
    if (entry == nullptr) {
      fail_condition("no attribute of PS3.6 has this keyword");
    }
    m_at = end;
    return entry->tag;
  }

  std::string_view m_text;
  std::size_t m_at = 0;
  std::size_t m_depth = 0;
};

AttributePath AttributePath::parse(std::string_view text) { return ExpressionParser(text).whole_path(); }

Expression Expression::parse(std::string_view text) {
  Expression expression;
  expression.m_node = ExpressionParser(text).whole();
  return expression;
}

Expression::Truth Expression::truth(const Object& object, const Object::Item& here) const {
  return truth(m_node, object, here);
}

Expression::Values Expression::values_of(const Operand& operand, const Object& object, const Object::Item& here) {
  if (operand.kind == Operand::Kind::literal) {
    return {operand.texts, operand.numbers};
  }
  Values values;
  const auto add_number = [&](double number) {
    values.texts.emplace_back();
    values.numbers.push_back(number + operand.plus);
  };
  double total = 0;
  bool any = false;
  operand.path.for_each(object, here, [&](const Object::Element& element, const Object::Item&) {
    any = true;
    if (operand.kind == Operand::Kind::count) {
      const std::optional<std::size_t> count = object.count(element);
      values.all = values.all && count;
      total += static_cast<double>(count.value_or(0));
      return true;
    }
    if (operand.kind == Operand::Kind::length) {
      total += static_cast<double>(element.length);
      return true;
    }
    if (dicom::is_string(element.vr)) {
      const std::vector<std::string_view> texts = object.texts(element);
      const bool has_it = operand.index != 0 && operand.index <= texts.size();
      values.all = values.all && (has_it || object.readable(element));
      for (std::size_t i = 0; i < texts.size(); ++i) {
        if (!texts[i].empty() && (operand.index == 0 || operand.index == i + 1)) {
          values.texts.emplace_back(texts[i]);
          values.numbers.push_back(number_of(texts[i]) + operand.plus);
        }
      }
    } else {
      const std::vector<double> numbers = object.numbers(element);
      values.all = values.all && object.readable(element);
      for (std::size_t i = 0; i < numbers.size(); ++i) {
        if (operand.index == 0 || operand.index == i + 1) {
          add_number(numbers[i]);
        }
      }
    }
    return true;
  });
  if (operand.kind != Operand::Kind::value && (any || operand.kind == Operand::Kind::count)) {
    add_number(total);
  }
  return values;
}

Expression::Truth Expression::truth(const Node& node, const Object& object, const Object::Item& here) {
  const auto known = [](bool holds) { return holds ? Truth::yes : Truth::no; };
  switch (node.op) {
    case Op::always:
      return Truth::yes;
    case Op::never:
      return Truth::no;
    case Op::all:
    case Op::any: {
      // The least, or the most, of the parts; no and yes decide at once.
      const Truth end = node.op == Op::all ? Truth::no : Truth::yes;
      Truth result = node.op == Op::all ? Truth::yes : Truth::no;
      for (const Node& part : node.parts) {
        const Truth one = truth(part, object, here);
        result = node.op == Op::all ? std::min(result, one) : std::max(result, one);
        if (result == end) {
          break;
        }
      }
      return result;
    }
    case Op::negation: {
      const Truth inner = truth(node.parts.front(), object, here);
      return inner == Truth::unknown ? inner : known(inner == Truth::no);
    }
    case Op::present:
      return known(!node.left.path.for_each(object, here, [](const auto&, const auto&) { return false; }));
    case Op::filled:
      return known(!node.left.path.for_each(
          object, here, [&](const Object::Element& element, const auto&) { return !object.filled(element); }));
    default:
      return compare(node.op, values_of(node.left, object, here), values_of(node.right, object, here));
  }
}

Expression::Truth Expression::compare(Op op, const Values& left, const Values& right) {
  const auto known = [](bool holds) { return holds ? Truth::yes : Truth::no; };
  const Truth otherwise = left.all && right.all ? Truth::no : Truth::unknown;
  if (op == Op::less || op == Op::at_most) {
    if (left.numbers.empty() || right.numbers.empty()) {
      return otherwise;
    }
    const double one = left.numbers.front();
    const double other = right.numbers.front();
    if (std::isnan(one) || std::isnan(other)) {
      return Truth::unknown;
    }
    return known(op == Op::less ? one < other : one <= other);
  }
  bool any_equal = false;
  for (std::size_t i = 0; i < left.texts.size() && !any_equal; ++i) {
    for (std::size_t j = 0; j < right.texts.size() && !any_equal; ++j) {
      any_equal = left.numbers[i] == right.numbers[j] || (!left.texts[i].empty() && left.texts[i] == right.texts[j]);
    }
  }
  if (op != Op::unequal) {
    return any_equal ? Truth::yes : otherwise;
  }
  if (any_equal || otherwise == Truth::unknown) {
    return any_equal ? Truth::no : Truth::unknown;
  }
  return known(!left.texts.empty() && !right.texts.empty());
}

}  // namespace kuva::rules
