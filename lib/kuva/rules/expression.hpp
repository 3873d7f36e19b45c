#pragma once

#include <kuva/rules/object.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace kuva::rules {

// A way to an attribute: sequences and then the attribute, from the data set or item that is looked at or, after
// `root.`, from the data set of the object. TransferSyntaxUID is that of the file meta information, from anywhere.
struct AttributePath {
  bool from_root = false;
  std::vector<dicom::Tag> tags;

  // "PatientID", "root.Modality", "RequestAttributesSequence.AccessionNumber", "(0040,A040)".
  // Errors: Error usage.profile (unknown keyword, not a path).
  static AttributePath parse(std::string_view text);

  // Every element that it leads to, through every item. `visit(element, item)`; false ends the search.
  template <typename Visit>
  bool for_each(const Object& object, const Object::Item& here, const Visit& visit) const {
    return walk(object, from_root ? object.root() : here, 0, visit);
  }

 private:
  template <typename Visit>
  bool walk(const Object& object, const Object::Item& item, std::size_t depth, const Visit& visit) const {
    const Object::Element* element = object.find(item, tags[depth]);
    if (element == nullptr) {
      return true;
    }
    if (depth + 1 == tags.size()) {
      return visit(*element, item);
    }
    for (const Object::Item& inner : object.items(*element)) {
      if (!walk(object, inner, depth + 1, visit)) {
        return false;
      }
    }
    return true;
  }
};

// A condition of a profile, compiled: no name is looked up while it is evaluated. The language is in kuva-profiles(5):
//   present(X)  filled(X)  X = "A"  X != 1  X in ["A", "B"]  X[1] = "ORIGINAL"  X > Y + 1  count(X)  length(X)
//   and  or  not  ( )  true  false
// A comparison with an attribute that is not there, or has no value, is false, `!=` too. One with a value that is there
// and cannot be read (bulk, more than is kept; for < and > what is no number) is neither true nor false.
class Expression {
 public:
  enum class Truth : std::uint8_t { no, unknown, yes };

  // Errors: Error usage.profile with the place.
  static Expression parse(std::string_view text);
  Truth truth(const Object& object, const Object::Item& here) const;
  // It is certain that it holds.
  bool evaluate(const Object& object, const Object::Item& here) const { return truth(object, here) == Truth::yes; }

  static constexpr std::size_t k_longest = 8192;
  static constexpr std::size_t k_deepest = 50;

 private:
  friend class ExpressionParser;

  enum class Op : std::uint8_t {
    always,
    never,
    all,
    any,
    negation,
    present,
    filled,
    equal,
    unequal,
    less,
    at_most,
    in
  };
  // One side of a comparison.
  struct Operand {
    enum class Kind : std::uint8_t { literal, value, count, length } kind = Kind::literal;
    AttributePath path;
    std::size_t index = 0;  // of the value, from 1; 0: all of them
    double plus = 0;
    std::vector<std::string> texts;
    std::vector<double> numbers;  // beside each text: NaN where it is none
  };
  struct Values {
    std::vector<std::string> texts;
    std::vector<double> numbers;
    bool all = true;  // no value is there that could not be read
  };
  struct Node {
    Op op = Op::always;
    std::vector<Node> parts;
    Operand left;
    Operand right;
  };

  static Truth truth(const Node& node, const Object& object, const Object::Item& here);
  static Truth compare(Op op, const Values& left, const Values& right);
  static Values values_of(const Operand& operand, const Object& object, const Object::Item& here);

  Node m_node;
};

}  // namespace kuva::rules
