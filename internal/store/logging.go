package store

import "github.com/weftnet/weft"

// Logs keeps the logs that were asked for.
var Logs = Table[weft.Log]{
	Name: "logs", FromZero: true, Noun: "log", NotFound: "LogResourceNotFound", Label: "Log resource",
	Columns: []Column[weft.Log]{
		{Name: "name", Value: func(l *weft.Log) any { return l.Name }},
		{Name: "description", Value: func(l *weft.Log) any { return l.Description }},
		{Name: "resource_type", Value: func(l *weft.Log) any { return l.ResourceType }},
		{Name: "resource_id", Value: func(l *weft.Log) any { return string(l.ResourceID) }},
		{Name: "target_id", Value: func(l *weft.Log) any { return string(l.TargetID) }},
		{Name: "event", Value: func(l *weft.Log) any { return l.Event }},
		{Name: "enabled", Value: func(l *weft.Log) any { return btoi(l.Enabled) }},
	},
}.Ready()
