"""The tray icon: shows what the guard does, and lets a person steer it, in a process of its own."""
