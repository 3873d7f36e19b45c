#include <kuva/dimse/query.hpp>

#include <doctest/doctest.h>

using namespace kuva::dimse;

TEST_CASE("the SOP classes of query and retrieve") {
  CHECK(find_sop_class(QueryRoot::patient) == "1.2.840.10008.5.1.4.1.2.1.1");
  CHECK(move_sop_class(QueryRoot::study) == "1.2.840.10008.5.1.4.1.2.2.2");
  CHECK(get_sop_class(QueryRoot::study) == "1.2.840.10008.5.1.4.1.2.2.3");
  for (const QueryRoot root : {QueryRoot::patient, QueryRoot::study}) {
    CHECK(query_model(find_sop_class(root))->service == QueryService::find);
    CHECK(query_model(move_sop_class(root))->service == QueryService::move);
    CHECK(query_model(get_sop_class(root))->service == QueryService::get);
    CHECK(query_model(get_sop_class(root))->root == root);
  }
  CHECK_FALSE(query_model("1.2.840.10008.1.1").has_value());
}

TEST_CASE("query/retrieve levels by their values") {
  CHECK(to_string(QueryLevel::image) == "IMAGE");
  CHECK(query_level("STUDY") == QueryLevel::study);
  CHECK_FALSE(query_level("Study").has_value());
  CHECK_FALSE(query_level("").has_value());
}
