// The threads for a call on torch's tensors: torch's OpenMP workers, as many as torch.get_num_threads() returns.
#pragma once

#include "bindings/tensor.h"
#include "threads/host.h"

namespace pyrnn {

int host_thread_count();  // 0: calls use this library's threads

class CallThreads : HostThreads {
 public:
  explicit CallThreads(const Tensor& like) : HostThreads(like.is_numpy() ? 0 : host_thread_count()) {}
};

}  // namespace pyrnn
