// The part of DLPack's C exchange API (https://dmlc.github.io/dlpack) that describes another library's tensor in
// place. torch 2.10 and later provide it as `torch.Tensor.__dlpack_c_exchange_api__`, so pyrnn links nothing of torch.
#pragma once

#include <cstdint>

namespace pyrnn::dlpack {

constexpr std::uint32_t major_version = 1;
constexpr std::int32_t cpu = 1;  // a value of Device::type
constexpr std::uint8_t floating = 2, bfloat = 4, complex = 5, boolean = 6;  // DType::code; 0 and 1 are integers

struct Device {
  std::int32_t type, id;
};

struct DType {
  std::uint8_t code, bits;
  std::uint16_t lanes;
};

struct DLTensor {
  void* data;
  Device device;
  std::int32_t ndim;
  DType dtype;
  std::int64_t *shape, *strides;  // strides count elements; both exist as long as the tensor
  std::uint64_t byte_offset;
};

struct ExchangeApi {
  struct {
    std::uint32_t major, minor;
    void* previous;
  } header;
  void (*allocate)();  // pyrnn does not call these three
  void (*managed_from_object)();
  void (*managed_to_object)();
  int (*tensor_from_object)(void* object, DLTensor* out);  // may be null; returns -1 with a Python error set
};

}  // namespace pyrnn::dlpack
