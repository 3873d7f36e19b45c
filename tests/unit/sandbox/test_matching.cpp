#include <kuva/sandbox/matching.hpp>

#include <doctest/doctest.h>

using kuva::dicom::Vr;
using kuva::sandbox::has_wildcard;
using kuva::sandbox::matches;

TEST_CASE("single values, lists and universal matching") {
  CHECK(matches(Vr::LO, "", "anything"));
  CHECK(matches(Vr::LO, "", ""));
  CHECK(matches(Vr::LO, "ABC ", "ABC"));
  CHECK_FALSE(matches(Vr::LO, "ABC", "abc"));
  CHECK_FALSE(matches(Vr::LO, "ABC", ""));
  CHECK(matches(Vr::UI, "1.2\\1.3", "1.3"));
  CHECK_FALSE(matches(Vr::UI, "1.2\\1.3", "1.33"));
  CHECK_FALSE(matches(Vr::UI, "1.*", "1.3"));
  CHECK(matches(Vr::CS, "CT", "MR\\CT"));
  CHECK(matches(Vr::IS, "1", " 01"));
  CHECK_FALSE(matches(Vr::IS, "1", "11"));
  CHECK(matches(Vr::ST, "a\\b", "a\\b"));
}

TEST_CASE("wildcards") {
  CHECK(matches(Vr::LO, "*", ""));
  CHECK(matches(Vr::LO, "A*C", "ABBBC"));
  CHECK(matches(Vr::LO, "*B*", "ABC"));
  CHECK(matches(Vr::LO, "A?C", "ABC"));
  CHECK(matches(Vr::LO, "P?\xC3\xA4", "P\xC3\xA4\xC3\xA4"));
  CHECK_FALSE(matches(Vr::LO, "A?C", "AC"));
  CHECK_FALSE(matches(Vr::LO, "A*C", "ABCD"));
  CHECK(matches(Vr::LO, "*a*b*c*d", "xaxaxbxbxcxcxd"));
  CHECK_FALSE(matches(Vr::LO, std::string(50, '*') + "b", std::string(5000, 'a')));
  CHECK(has_wildcard(Vr::SH, "a?"));
  CHECK_FALSE(has_wildcard(Vr::UI, "1.*"));
}

TEST_CASE("names match whatever their case and with what is there of them") {
  CHECK(matches(Vr::PN, "virtanen^maija", "Virtanen^Maija"));
  CHECK(matches(Vr::PN, "Virtanen^Maija", "Virtanen^Maija^^"));
  CHECK(matches(Vr::PN, "\xC3\x84\xC3\x84NI*", "\xC3\xA4\xC3\xA4nikki^Aino"));
  CHECK(matches(Vr::PN,
                "\xC4\x8C"
                "ova",
                "\xC4\x8Dova"));
  CHECK_FALSE(matches(Vr::PN, "Virtanen", "Virtanen^Maija"));
  CHECK(matches(Vr::PN, "Yamada*", "Yamada^Tarou=\xE5\xB1\xB1\xE7\x94\xB0^\xE5\xA4\xAA\xE9\x83\x8E"));
  CHECK(matches(Vr::PN, "\xE5\xB1\xB1\xE7\x94\xB0*", "Yamada^Tarou=\xE5\xB1\xB1\xE7\x94\xB0^\xE5\xA4\xAA\xE9\x83\x8E"));
  CHECK(matches(Vr::PN, "Yamada*=\xE5\xB1\xB1*", "Yamada^Tarou=\xE5\xB1\xB1\xE7\x94\xB0"));
  CHECK_FALSE(matches(Vr::PN, "Yamada*=\xE5\xA4\xAA*", "Yamada^Tarou=\xE5\xB1\xB1\xE7\x94\xB0"));
}

TEST_CASE("dates and times, alone and in ranges") {
  CHECK(matches(Vr::DA, "20240229", "20240229"));
  CHECK(matches(Vr::DA, "20240229", "2024.02.29"));
  CHECK(matches(Vr::DA, "20240101-20241231", "20240229"));
  CHECK(matches(Vr::DA, "-20240229", "20240229"));
  CHECK(matches(Vr::DA, "20240229-", "20240229"));
  CHECK_FALSE(matches(Vr::DA, "20240301-", "20240229"));
  CHECK_FALSE(matches(Vr::DA, "20240101-", ""));
  CHECK(matches(Vr::TM, "10", "101530.5"));
  CHECK(matches(Vr::TM, "0900-10", "105959.999"));
  CHECK_FALSE(matches(Vr::TM, "0900-1000", "1001"));
  CHECK(matches(Vr::TM, "101500-", "1015"));
  CHECK(matches(Vr::DT, "20240229-20240301", "20240229101500.123+0200"));
  CHECK(matches(Vr::DT, "20240229101500+0200", "20240229101500"));
}
