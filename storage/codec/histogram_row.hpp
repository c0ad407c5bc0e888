// One histogram as bytes, quick to write and to read: the form of the journal and of heads. Sealed samples take the smaller
// block of histogram_column.hpp. The bytes are specified in storage/format/histogram.md.
#pragma once

#include "daemon/base/bytes.hpp"
#include "storage/model/histogram.hpp"

namespace plumbline::storage::codec {

void put_layout(ByteWriter& out, const model::HistogramLayout& layout);
// False: damaged bytes, or more buckets than model::limit allows.
bool get_layout(ByteReader& in, model::HistogramLayout& out);

// `before` is the layout of the row before, or null: a row of the same layout does not repeat it. The histogram is one that
// check_histogram() accepts.
void put_histogram(ByteWriter& out, const model::Histogram& histogram, const model::HistogramLayout* before);
bool get_histogram(ByteReader& in, model::Histogram& out, const model::HistogramLayout* before);

}  // namespace plumbline::storage::codec
