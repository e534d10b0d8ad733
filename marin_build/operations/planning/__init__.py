"""From targets to a plan, and all that is known of one."""
