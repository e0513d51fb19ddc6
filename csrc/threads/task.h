// A reference to a callable. std::function would allocate memory, which a stream must not do.
#pragma once

namespace pyrnn {

template <class... Arguments> class Task {
 public:
  template <class F>
  Task(const F& f) noexcept  // NOLINT: made from a lambda at the call
      : object_(&f),
        call_([](const void* object, Arguments... arguments) { (*static_cast<const F*>(object))(arguments...); }) {}
  void operator()(Arguments... arguments) const { call_(object_, arguments...); }

 private:
  const void* object_;
  void (*call_)(const void*, Arguments...);
};

}  // namespace pyrnn
